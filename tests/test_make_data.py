"""The data folders of the results are made from original files, and nothing is overwritten."""

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from twofold.errors import TwofoldError

TOOL = Path(__file__).parents[1] / "tools" / "make_data.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_data", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_data"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def original(tmp_path: Path) -> Path:
    for place, size in (
        ("glass/a.jpg", (400, 300)),
        ("paper/b.JPG", (90, 200)),
        (".git/x/c.jpg", (9, 9)),
        ("d.jpg", (9, 9)),
    ):
        file = tmp_path / "original" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (200, 30, 60)).save(file, format="JPEG")
    return tmp_path / "original"


def test_images_shrink_to_their_short_side_in_their_folders(tool: ModuleType, original: Path, tmp_path: Path) -> None:
    assert tool.make("trashnet-128", original, tmp_path / "out") == 2
    sizes = {}
    for file in (tmp_path / "out").rglob("*.*"):
        with Image.open(file) as image:
            sizes[file.relative_to(tmp_path / "out").as_posix()] = image.size
    assert sizes == {"glass/a.jpg": (171, 128), "paper/b.JPG": (90, 200)}


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_an_archive_gives_what_its_folder_gives(tool: ModuleType, original: Path, tmp_path: Path, kind: str) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "trashnet"), kind, original))
    assert tool.make("trashnet-128", archive, tmp_path / "out") == 2
    assert {file.name for file in (tmp_path / "out").rglob("*.*")} == {"a.jpg", "b.JPG"}
    assert archive.exists()


def test_cifar_10_is_written_by_split_and_class(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its archive is big and its checksums are torchvision's: reading it is left to torchvision."""

    class Made:
        classes = ("airplane", "truck")

        def __init__(self, folder: str, *, train: bool) -> None:
            self.folder, self.count = folder, 3 if train else 1

        def __iter__(self) -> Iterator[tuple[Image.Image, int]]:
            return iter([(Image.new("RGB", (32, 32)), number % 2) for number in range(self.count)])

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Made)
    assert tool.make("cifar10", tmp_path, tmp_path / "out") == 4
    made = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.png")}
    assert made == {
        "train/airplane/00000.png",
        "train/truck/00001.png",
        "train/airplane/00002.png",
        "test/airplane/00000.png",
    }


def test_nothing_is_overwritten_and_a_mistake_is_one_sentence(tool: ModuleType, original: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name, folder, out, words in (
        ("trashnet-128", original, tmp_path / "there", "exists, and nothing is overwritten"),
        ("trashnet-128", tmp_path / "no", tmp_path / "new", "is not there. Download it from https://github.com"),
        ("trashnet-128", original / "d.jpg", tmp_path / "new", "d.jpg' is no archive that can be unpacked"),
        ("trashnet", original, tmp_path / "new", "must be one of cifar10, clothing-64"),
        ("trashnet-128", tmp_path / "there", tmp_path / "new", "has no images in folders of classes"),
    ):
        with pytest.raises(TwofoldError, match=words):
            tool.make(name, folder, out)


def test_every_data_set_of_the_results_has_a_source_and_a_licence(tool: ModuleType) -> None:
    page = (TOOL.parents[1] / "docs" / "results.md").read_text(encoding="utf-8")
    for name in ("clothing-64", "trashnet-128", "sign-digits-64", "rsscn7-128"):
        assert name in page
        assert name in tool.table()
    assert all(one.source.startswith("https://") and one.licence for one in tool.ORIGINALS.values())
