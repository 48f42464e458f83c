"""Each code: found where it should be, not flagged next to it, and not where it does not apply; the page of them."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.corpus_folders import CASES, Case
from pictures import picture, write_pictures
from twofold.data import ImageSet, formats, load_images
from twofold.data.diagnosis import SMALL_PX, diagnose
from twofold.data.findings import CHECKS
from twofold.recipes.recipe import DataRecipe

HOME = Path(__file__).parents[2]
BY_NAME = {case.name: case for case in CASES}

# code -> (a case of the corpus in which it is found, one next to it in which it is not, one to which it cannot apply)
OF_RECORDS = {
    "TF002": ("train and val alone", "validation val", "no folders"),
    "TF003": ("unlabelled test", "splits train test", "classes"),
    "TF004": ("loose images beside classes", "classes", "no folders"),
    "TF005": ("an extra folder with the same classes", "unlabelled beside splits", "classes"),
    "TF006": ("parts that are called nothing", "classes by year", "commas"),
    "TF007": ("unlabelled beside classes", "one class and unlabelled", "no folders"),
    "TF008": ("names that differ by case", "classes", "no folders"),
    "TF009": ("a class called None", "classes", "no folders"),
    "TF010": ("more kinds than three", "a read-me", "bytes"),
    "TF011": ("a read-me", "more kinds than three", "bytes"),
    "TF012": ("thumbnails of a NAS", "a read-me", "bytes"),
    "TF013": ("a link to the folder above", "classes", "commas"),
    "TF014": ("a table in the folder", "a read-me", "bytes"),
    "TF015": ("a class that test lacks", "unlabelled test", "classes"),
    "TF016": ("a phone", "digits", "commas"),
    "TF017": ("days", "digits", "commas"),
    "TF018": ("a class of a single image", "one class and unlabelled", "no folders"),
    "TF019": ("images beside masks", "a class of masks", "commas"),
    "TF020": ("semicolons", "commas", "classes"),
    "TF021": ("a missing file", "ids", "classes"),
    "TF022": ("ids", "commas", "classes"),
    "TF023": ("one-hot", "several ones", "classes"),
    "TF024": ("patients that nobody named", "groups by a flag", "classes"),
    "TF025": ("folds of numbers", "splits called train val test", "classes"),
    "TF026": ("several ones", "one-hot", "classes"),
    "TF027": ("no column of labels", "commas", "classes"),
    "TF028": ("metadata.csv", "metadata beside classes", "commas"),
    "TF029": ("a logo beside many images in parquet", "an image beside a parquet of numbers", "classes"),
    "TF035": ("patients of whom one lacks a class", "classes in deep folders", "commas"),
    "TF034": ("labels that are measured", "numbers with zeros and without", "classes"),
    "TF030": ("groups", "commas", "classes"),
    "TF046": ("a shard that is missing", "shards of one split", "classes"),
    "TF040": ("a missing file", "commas", "no folders"),
}


def codes(images: ImageSet) -> set[str]:
    return {finding.code for finding in images.findings}


@pytest.fixture
def without_extras(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Formats of extras are such that cannot be read, whatever is installed here."""
    monkeypatch.setattr(formats, "is_installed", lambda _: False)
    formats.extensions.cache_clear()
    yield
    formats.extensions.cache_clear()


def load(case: Case, folder: Path) -> ImageSet:
    (folder / case.name.replace("/", "-")).mkdir()
    recipe = DataRecipe(test_fraction=0.0, max_unreadable_fraction=0.9, **case.settings)
    data = case.make(folder / case.name.replace("/", "-"))
    return load_images(data, recipe=recipe, store_px=None, cache=folder / "cache")


@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize("code", OF_RECORDS)
def test_it_is_found_and_neither_next_to_it_nor_where_it_cannot_apply(code: str, tmp_path: Path) -> None:
    found, *others = (BY_NAME[name] for name in OF_RECORDS[code])
    assert code in codes(load(found, tmp_path))
    assert not any(code in codes(load(other, tmp_path)) for other in others)


def test_most_of_them_do_not_apply_to_a_folder_without_classes(tmp_path: Path) -> None:
    assert codes(load(BY_NAME["no folders"], tmp_path)) == set()


def make(folder: Path, images: dict[str, np.ndarray]) -> Path:
    for name, pixels in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


def looked_at(folder: Path, **settings: float) -> dict[str, str]:
    """Code -> text of what a doctor finds."""
    recipe = DataRecipe(max_unreadable_fraction=0.9, **settings)
    images = load_images(folder, recipe=recipe, store_px=SMALL_PX, cache=folder.parent / "cache")
    return {finding.code: finding.text for finding in [*images.findings, *diagnose(images)]}


def plain(count: int = 12) -> dict[str, np.ndarray]:
    return {f"{kind}/{n:02d}.png": picture(kind, n, 12) for kind in ("bars", "discs") for n in range(count)}


def test_tf001_a_cut(tmp_path: Path) -> None:
    folder = make(tmp_path / "data", plain())
    assert "TF001" in looked_at(folder)
    assert "TF001" not in looked_at(folder, test_fraction=0.0)
    assert "TF001" not in looked_at(folder / "bars")


def test_tf033_nothing_to_cut(tmp_path: Path) -> None:
    images = plain(1)
    assert "TF033" in looked_at(make(tmp_path / "data", images))
    assert "TF033" not in looked_at(make(tmp_path / "more", plain(2)))


def test_tf032_groups_in_both_splits(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    make(tmp_path, plain(2))
    head = "path,label,group,split\n"
    lines = ["bars/00.png,bars,p1,train", "discs/00.png,discs,p2,train", "bars/01.png,bars,{},test"]
    for group, expected in (("p2", True), ("p3", False)):
        table.write_text(head + "\n".join([*lines, "discs/01.png,discs,p4,test"]).format(group))
        images = load_images(table, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
        assert ("TF032" in codes(images)) == expected


def test_tf041_to_tf043_copies(tmp_path: Path) -> None:
    images = {f"{split}/{name}": pixels for split in ("train", "test") for name, pixels in plain().items()}
    for name in plain():
        images[f"test/{name}"] = picture(name.split("/")[0], int(name[-6:-4]) + 100, 12)
    assert not {"TF041", "TF042", "TF043"} & set(looked_at(make(tmp_path / "none", images)))
    images["train/bars/90.png"] = images["train/bars/00.png"]
    found = looked_at(make(tmp_path / "in train", images))
    assert found["TF041"] == "1 images are copies; train/bars/90.png is train/bars/00.png"
    assert not {"TF042", "TF043"} & set(found)
    images["test/discs/91.png"] = images["train/bars/00.png"]
    found = looked_at(make(tmp_path / "in both", images))
    assert found["TF042"] == "1 of 25 test images are in train too"
    assert found["TF043"] == "3 images have copies under another label"


def test_copies_in_other_formats_are_seen(tmp_path: Path) -> None:
    folder = make(tmp_path / "data", plain())
    Image.open(folder / "bars/00.png").save(folder / "bars/again.bmp")
    assert "TF041" in looked_at(folder)


def test_tf044_blank_images(tmp_path: Path) -> None:
    images = plain()
    assert "TF044" not in looked_at(make(tmp_path / "none", images))
    images |= {"bars/a.png": np.full((12, 12, 3), 7, np.uint8), "bars/b.png": np.zeros((12, 12), np.uint8)}
    assert looked_at(make(tmp_path / "two", images))["TF044"] == "2 of 26 images are blank"


def test_tf045_few_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "data", plain())
    assert looked_at(folder)["TF045"] == "24 images"
    monkeypatch.setattr("twofold.data.diagnosis._FEW", 24)
    assert "TF045" not in looked_at(folder)


def bursts(kind: str, count: int = 60) -> list[np.ndarray]:
    """Images of 12 px, five of each motif one after the other with a little noise."""
    noise = np.random.default_rng(0)
    shown = (picture(kind, n // 5, 12) + noise.integers(0, 6, (12, 12, 3)) for n in range(count))
    return [np.clip(pixels, 0, 255).astype(np.uint8) for pixels in shown]


@pytest.fixture
def burst(tmp_path: Path) -> Path:
    images = {f"{kind}/{n:03d}.png": one for kind in ("bars", "discs") for n, one in enumerate(bursts(kind))}
    return make(tmp_path / "burst", images)


def test_tf031_a_cut_that_leaks(burst: Path, tmp_path: Path) -> None:
    assert "next to it by name" in looked_at(burst)["TF031"]
    shuffled = np.random.default_rng(1).permutation(60)
    images = {f"{k}/{n:03d}.png": np.asarray(Image.open(burst / f"{k}/{m:03d}.png")) for k in ("bars", "discs")
              for n, m in enumerate(shuffled)}  # fmt: skip
    assert "TF031" not in looked_at(make(tmp_path / "names that say nothing", images))
    independent = {f"{kind}/{n:03d}.png": picture(kind, n, 12) for kind in ("bars", "discs") for n in range(60)}
    assert "TF031" not in looked_at(make(tmp_path / "independent", independent))


@pytest.mark.parametrize(("divides", "leaks"), [(True, True), (False, False)])
def test_tf031_in_splits_of_ones_own_that_divide_bursts_or_do_not(tmp_path: Path, divides: bool, leaks: bool) -> None:
    def split(n: int) -> str:
        return "test" if (n if divides else n // 5) % 4 == 0 else "train"

    kinds = ("bars", "discs")
    images = {f"{split(n)}/{kind}/{n:03d}.png": one for kind in kinds for n, one in enumerate(bursts(kind))}
    assert ("TF031" in looked_at(make(tmp_path / "data", images))) is leaks


def test_tf031_is_found_in_a_stretch_of_many_images(burst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twofold.data.diagnosis._AMONG", 48)  # train images: those of the first class
    assert "next to it by name" in looked_at(burst)["TF031"]


def test_tf031_does_not_apply_to_groups_and_to_splits_of_ones_own(burst: Path) -> None:
    recipe = DataRecipe(group_by=r"/(\d\d)")
    images = load_images(burst, recipe=recipe, store_px=SMALL_PX, cache=burst.parent / "cache")
    assert "TF031" not in {finding.code for finding in diagnose(images)}
    assert "TF031" not in looked_at(burst, test_fraction=0.0)


@pytest.fixture(scope="module")
def page() -> Callable[[], str]:
    spec = importlib.util.spec_from_file_location("make_checks", HOME / "tools" / "make_checks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page  # type: ignore[no-any-return]


def test_the_page_is_what_the_tool_writes(page: Callable[[], str]) -> None:
    text = (HOME / "docs" / "checks.md").read_text(encoding="utf-8")
    assert text == page(), "python tools/make_checks.py writes it"
    for code, check in CHECKS.items():
        assert f"\n## {code}: {check.title}\n" in text


def test_the_plain_folders_of_other_tests_give_no_warning(tmp_path: Path) -> None:
    found = looked_at(write_pictures(tmp_path / "data", per_class=12))
    assert {CHECKS[code].severity for code in set(found) - {"TF045"}} <= {"info"}
