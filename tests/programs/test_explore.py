"""twofold explore: one page that holds every image, its place, its neighbours and the columns that were asked for."""

import base64
import csv
import importlib
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError

program = importlib.import_module("twofold.programs.explore")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/, run/, cache/ and table.csv with a note and a number for some images."""
    home = tmp_path_factory.mktemp("explore")
    data = write_pictures(home / "data", per_class=10)
    twofold.pretrain(data, out=home / "run", recipe=SMALL, cache=home / "cache", verbose=False)
    with (home / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("path", "note"), ("bars/000.png", "</script>"), ("bars/000.png", "b")])
    return home


def page(home: Path, out: Path, **given: object) -> tuple[str, dict[str, object]]:
    asked = {"out": out, "cache": home / "cache", "device": "cpu", "verbose": False}
    file = twofold.explore(home / "run", home / "data", **asked, **given)
    text = file.read_text(encoding="utf-8")
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert data is not None
    return text, json.loads(data[1])


def test_every_image_is_there_with_its_neighbours_and_its_thumbnail(home: Path, tmp_path: Path) -> None:
    text, data = page(home, tmp_path / "out", columns=home / "table.csv")
    assert len(data["paths"]) == 30
    assert "http" not in text.replace("http-equiv", "")
    places = np.frombuffer(base64.b64decode(data["places"]), "<u2").reshape(30, 2)
    assert len(np.unique(places, axis=0)) > 20
    h = twofold.load(home / "run", device="cpu").embed([home / "data" / path for path in data["paths"]])
    unit = h / np.linalg.norm(h, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(30)
    near = np.frombuffer(base64.b64decode(data["neighbours"]), "<u4").reshape(30, -1)
    np.testing.assert_allclose(cosines[np.arange(30), near[:, 0]], cosines.max(1), atol=1e-4)
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["sheets"][0].partition(",")[2]))), np.float32)
    side = data["side"]
    files = [Image.open(home / "data" / path).convert("RGB").resize((side, side)) for path in data["paths"]]
    apart = [np.abs(sheet[:side, side : 2 * side] - np.asarray(file, np.float32)).mean() for file in files]
    assert np.argmin(apart) == 1
    assert apart[1] < 20


def test_columns_of_a_table_colour_the_map_and_are_no_markup(home: Path, tmp_path: Path) -> None:
    _, data = page(home, tmp_path / "out", columns=home / "table.csv")
    assert list(data["columns"]) == ["label", "table: note", "cluster", "split"]
    note = data["columns"]["table: note"]
    assert note["names"] == ["none", "</script> and b"]
    assert [data["paths"][row] for row, of in enumerate(note["of"]) if of == 1] == ["bars/000.png"]
    label = data["columns"]["label"]
    assert [label["names"][of] for of in label["of"]] == [path.split("/")[0] for path in data["paths"]]


def test_of_too_many_images_a_sample_is_shown_and_said(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_MOST", 20)
    text, data = page(home, tmp_path / "out")
    assert len(data["paths"]) == 20
    assert "20 images, a sample of 30" in text
    assert np.frombuffer(base64.b64decode(data["neighbours"]), "<u4").max() < 20


def test_many_numbers_become_ranges() -> None:
    told = program._ranges([str(number / 100) for number in range(100)] + ["none"])
    assert told[-1] == "none"
    assert len(set(told)) == 9
    assert told[0] == "0 to 0.124"
    assert program._ranges(["1", "2"]) == ["1", "2"]


def test_a_table_without_these_images_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("file,x\na,1\n")
    (tmp_path / "b.csv").write_text("path,x\nnowhere.png,1\n")
    for name, words in (("a", "has no column path"), ("b", "names no image"), ("c", "is not a file")):
        with pytest.raises(TwofoldError, match=words):
            page(home, tmp_path / "out", columns=tmp_path / f"{name}.csv")
    assert not (tmp_path / "out").exists()


def test_without_labels_the_map_is_coloured_by_what_there_is(home: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted((home / "data").rglob("*.png"))):
        shutil.copy(file, flat / f"{number:02d}.png")
    asked = {"cache": home / "cache", "device": "cpu", "verbose": False}
    (tmp_path / "mine.csv").write_text("path,place\n00.png,here\n")
    for columns, first in (((), "cluster"), (tmp_path / "mine.csv", "mine: place")):
        file = twofold.explore(home / "run", flat, columns=columns, out=tmp_path / first[:4], **asked)
        text = file.read_text(encoding="utf-8")
        data = json.loads(re.search(r'type="application/json">(.*?)</script>', text, re.DOTALL)[1])
        assert next(iter(data["columns"])) == first
