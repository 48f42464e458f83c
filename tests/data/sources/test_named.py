"""torchvision's data sets by name, without a network."""

import gzip
import struct
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from twofold.data import load_images, open_source
from twofold.data.sources import named
from twofold.data.sources.named import NAMES
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """A tiny Fashion-MNIST in torchvision's own files."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, count in (("train", 12), ("t10k", 5)):
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        head = struct.pack(">IIII", 2051, count, 28, 28)
        for name, content in ((f"{prefix}-images-idx3-ubyte", head + images.tobytes()),):
            (raw / name).write_bytes(content)
            (raw / f"{name}.gz").write_bytes(gzip.compress(content))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels.tobytes())
    return tmp_path


@pytest.mark.parametrize("name", ["FashionMNIST", "fashionmnist", "torchvision:FASHIONMNIST"])
def test_a_data_set_is_opened_by_name(fashion: Path, name: str) -> None:
    source = open_source(f"{name}@{fashion}")
    assert [record.split for record in source.records] == ["train"] * 12 + ["test"] * 5
    assert [record.path for record in source.records][::12] == ["train/00", "test/0"]
    assert [record.label for record in source.records][:2] == ["T-shirt/top", "Trouser"]
    train = torchvision.datasets.FashionMNIST(fashion, train=True)
    assert np.array_equal(np.asarray(source.read(3)), train.data[3].numpy())
    assert source.stamp() == open_source(f"{name}@{fashion}").stamp()


def test_its_pixels_reach_the_image_set(fashion: Path) -> None:
    name = f"FashionMNIST@{fashion}"
    images = load_images(name, recipe=DataRecipe(channels=1), store_px=None, cache=fashion / "cache")
    expected = torchvision.datasets.FashionMNIST(fashion, train=False).data
    assert (images.read(images.rows("test")).images[:, 0] == expected).all()
    assert images.is_labelled


def test_the_default_root_lies_in_the_cache(fashion: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fashion / "cache").mkdir()
    (fashion / "cache" / "torchvision").symlink_to(fashion)
    assert len(open_source("FashionMNIST", cache=fashion / "cache").records) == 17
    monkeypatch.setenv("TWOFOLD_CACHE", str(fashion / "cache"))
    assert len(open_source("FashionMNIST").records) == 17


def test_an_existing_folder_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "CIFAR10").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "CIFAR10" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert [record.path for record in open_source("CIFAR10").records] == ["a.png"]


def test_without_a_network_there_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        print("downloading ...")
        raise OSError("network is\nunreachable")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(TwofoldError, match=r"'CIFAR10' .*network is unreachable.* folder of images") as raised:
        open_source("cifar10", cache=tmp_path)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(TwofoldError, match=r"no folder, table or torchvision data set called 'CIFR10'.*'CIFAR10'"):
        open_source("CIFR10")
    with pytest.raises(TwofoldError, match="'torchvision:nothing'"):
        open_source("torchvision:nothing")


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_torchvisions(name: str) -> None:
    assert hasattr(torchvision.datasets, name)


def test_a_set_without_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Whole:
        classes = ("sea", "town")

        def __init__(self, root: Path) -> None:
            self.root = root

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> tuple[Image.Image, int]:
            if index >= 4:
                raise IndexError
            return Image.new("RGB", (4, 4), (index, 0, 0)), index % 2

    monkeypatch.setattr(torchvision.datasets, "EuroSAT", Whole)
    records = open_source("EuroSAT", cache=tmp_path).records
    assert [(r.path, r.label, r.split) for r in records[:2]] == [("all/0", "sea", None), ("all/1", "town", None)]


def test_a_changed_pixel_in_memory_moves_the_stamp(fashion: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is not among the images that are looked at."""
    monkeypatch.setattr(named, "_SAMPLED", 1)
    before = open_source(f"FashionMNIST@{fashion}").stamp()
    raw = fashion / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    content = bytearray(raw.read_bytes())
    content[-1] ^= 1
    raw.write_bytes(content)
    assert open_source(f"FashionMNIST@{fashion}").stamp() != before


def test_a_changed_file_moves_the_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "_SAMPLED", 1)
    for label in ("sea", "town"):
        for number in range(3):
            place = tmp_path / "eurosat" / "2750" / label / f"{number}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (number, 0, 0)).save(place)
    before = open_source(f"EuroSAT@{tmp_path}").stamp()
    assert open_source(f"EuroSAT@{tmp_path}").stamp() == before
    Image.new("RGB", (5, 4)).save(tmp_path / "eurosat" / "2750" / "town" / "1.jpg")
    assert open_source(f"EuroSAT@{tmp_path}").stamp() != before
