"""Make the data folders that the commands in docs/results.md and benchmarks/ name, from the original files.

    python tools/make_data.py list                    names, images, sources and licences
    python tools/make_data.py NAME ORIGINAL OUT       ORIGINAL: the archive, or the folder that it was unpacked to;
                                                      OUT: a new folder

Images keep their folders (class, or split/class) and shrink to the short side that the name ends in; those of
CIFAR-10 (cifar-10-python.tar.gz) are read by torchvision and written as PNG, where the results' own copy was saved as
JPEG. Nothing is downloaded. The images of the demo come from `twofold sample`.
"""

import argparse
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from twofold.errors import TwofoldError

ENDINGS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, kw_only=True)
class Original:
    """Where a data set comes from; `images` it has there, and `short_px` its short side here (None: as it is)."""

    images: int
    short_px: int | None
    source: str
    licence: str


ORIGINALS = {
    "cifar10": Original(
        images=60_000, short_px=None, source="https://www.cs.toronto.edu/~kriz/cifar.html", licence="not stated"
    ),
    "clothing-64": Original(
        images=3_781,
        short_px=64,
        source="https://github.com/alexeygrigorev/clothing-dataset-small",
        licence="CC0 1.0",
    ),
    "trashnet-128": Original(images=2_527, short_px=128, source="https://github.com/garythung/trashnet", licence="MIT"),
    "sign-digits-64": Original(
        images=2_062,
        short_px=64,
        source="https://github.com/ardamavi/Sign-Language-Digits-Dataset",
        licence="Apache-2.0",
    ),
    "rsscn7-128": Original(
        images=2_800, short_px=128, source="https://github.com/palewithout/RSSCN7", licence="not stated"
    ),
}


def make(name: str, folder: Path, out: Path) -> int:
    """Write the images of `folder`, or of an archive, to `out`; how many.

    Raises TwofoldError for what is not there or already is, and for a file that cannot be unpacked.
    """
    original = ORIGINALS.get(name)
    if original is None:
        raise TwofoldError(
            f"the data set is '{name}', but it must be one of {', '.join(ORIGINALS)}. Give one of these."
        )
    if not folder.exists():
        raise TwofoldError(f"'{folder}' is not there. Download it from {original.source} and give the archive.")
    if out.exists():
        raise TwofoldError(f"'{out}' exists, and nothing is overwritten. Give another OUT.")
    if folder.is_file():
        safely = {"filter": "data"} if tarfile.is_tarfile(folder) else {}  # zipfile leaves nothing outside by itself
        with tempfile.TemporaryDirectory() as unpacked:
            try:
                shutil.unpack_archive(folder, unpacked, **safely)
            except (shutil.ReadError, ValueError, OSError) as error:
                raise TwofoldError(
                    f"'{folder}' is no archive that can be unpacked ({error}). Unpack it yourself."
                ) from error
            return make(name, Path(unpacked), out)
    count = 0
    for place, image in _cifar10(folder) if name == "cifar10" else _images(folder):
        target = out / place
        target.parent.mkdir(parents=True, exist_ok=True)
        _shrink(image, original.short_px).save(target, quality=95)
        count += 1
    if count == 0:
        raise TwofoldError(f"'{folder}' has no images in folders of classes. Give the folder that was unpacked.")
    return count


def table() -> str:
    """A line a data set."""
    made = [f"{name}: {one.images:,} images, {one.licence}, {one.source}" for name, one in ORIGINALS.items()]
    return "\n".join([*made, "runs/fashion: 14,000 images, MIT, ships with Twofold: twofold sample runs/fashion"])


def _images(folder: Path) -> Iterator[tuple[Path, Image.Image]]:
    for file in sorted(folder.rglob("*")):
        place = file.relative_to(folder)
        if file.suffix.lower() in ENDINGS and len(place.parts) > 1 and not place.parts[0].startswith("."):
            with Image.open(file) as image:
                yield place, image.convert("RGB")


def _cifar10(folder: Path) -> Iterator[tuple[Path, Image.Image]]:
    from torchvision.datasets import CIFAR10

    for split, train in (("train", True), ("test", False)):
        images = CIFAR10(str(folder), train=train)
        for number, (image, label) in enumerate(images):
            yield Path(split, images.classes[label], f"{number:05d}.png"), image


def _shrink(image: Image.Image, short_px: int | None) -> Image.Image:
    """With `short_px` on its short side; never larger than it is."""
    if short_px is None or min(image.size) <= short_px:
        return image
    scale = short_px / min(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help=f"list, or one of {', '.join(ORIGINALS)}")
    parser.add_argument("original", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?")
    options = parser.parse_args()
    if options.name == "list":
        print(table())
        return
    if options.original is None or options.out is None:
        parser.error("NAME, ORIGINAL and OUT are needed")
    try:
        count = make(options.name, options.original, options.out)
    except TwofoldError as error:
        parser.exit(1, f"{error}\n")
    expected = ORIGINALS[options.name].images
    print(f"Written: {count:,} images in {options.out}")
    if count != expected:
        print(f"Warning: the data set of the results has {expected:,} images; figures on this one may differ.")


if __name__ == "__main__":
    main()
