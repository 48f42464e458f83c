"""A small, freely licensed set of real photographs (Fashion-MNIST, MIT), for the demo and the tests."""

from twofold.data.sample.write import read_tiles, write_sample

__all__ = ["read_tiles", "write_sample"]
