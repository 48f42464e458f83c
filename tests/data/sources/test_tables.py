"""CSV manifests and parquet files."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from twofold.data import load_images, open_source
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


def write(root: Path, text: str) -> Path:
    for name in ("a.png", "b.png", "c, d.png"):
        Image.new("RGB", (4, 4)).save(root / name)
    (root / "list.csv").write_text(text, encoding="utf-8")
    return root / "list.csv"


def test_a_manifest_gives_paths_labels_and_splits(tmp_path: Path) -> None:
    text = '\ufefflabel, Path ,split,source\ncat,a.png,train,x\n\ndog,"c, d.png",VAL,\n,b.png\n'
    source = open_source(write(tmp_path, text))
    found = [(record.path, record.label, record.split) for record in source.records]
    assert found == [("a.png", "cat", "train"), ("c, d.png", "dog", "validation"), ("b.png", None, None)]
    assert source.read(1) == (tmp_path / "c, d.png").read_bytes()


def test_absolute_paths_are_allowed_by_a_flag_and_missing_files_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = write(tmp_path, f"path\n{tmp_path / 'a.png'}\ngone.png\n")
    moved = path.rename(tmp_path / "elsewhere" / "list.csv")
    recipe = DataRecipe(max_unreadable_fraction=0.5)
    images = load_images(moved, recipe=recipe, store_px=None, cache=tmp_path / "cache", allow_outside=True)
    assert images.paths == [str(tmp_path / "a.png")]
    assert [one.path for one in images.quarantine] == ["gone.png"]
    assert "No such file" in images.quarantine[0].reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 .* column 'path'"),
        ("where,label\na.png,cat\n", "line 1 .*'where,label'.* column 'path'"),
        ("path,split\na.png,train\nb.png,holdout\n", "line 3 .*'holdout'.* train, validation"),
        ("path\na.png\nb.png\na.png\n", r"line 4 .* repeats the path 'a.png' of line 2\. Rem"),
        (
            "path\na.png\nb.png\n./x/../a.png\n",
            r"line 4 .* repeats the path './x/../a.png' of line 2, .* spelt 'a.png'",
        ),
        ("path,label\n,cat\n", "line 2 .* empty path"),
        ("path,label\na.png,cat\nc, d.png,cat\n", "line 3 .* 3 cells, but the header has 2"),
        ("path\n", "lists no image"),
        ('path\n"a.png\n', "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_understood_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TwofoldError, match=message) as raised:
        open_source(write(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_a_message_about_missing_files_quotes_line_column_and_what_was_tried(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "sub" / "x.png")
    source = open_source(write(tmp_path, "file;label\na.png;cat\nother/x;dog\ngone;dog\n"))
    (finding,) = [finding for finding in source.findings if finding.code == "TF021"]
    assert finding.text == (
        "2 of 3 files are missing: line 3, column 'file': 'other/x' (tried as it stands, with the extensions of images "
        "and by name anywhere below; 2 files below are called so: sub/x.png, x.png); and 1 more"
    )


def test_a_completed_path_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    (tmp_path / "in").mkdir()
    for text in ("../secret", "..\\secret.png", "C:\\secret.png"):
        with pytest.raises(TwofoldError, match=r"--allow-outside|none of the 1 files"):
            open_source(write(tmp_path / "in", f"path\n{text}\n"))


def test_the_stamp_of_a_manifest_moves_with_labels_and_files(tmp_path: Path) -> None:
    stamps = [open_source(write(tmp_path, "path,label\na.png,cat\n")).stamp()]
    (tmp_path / "list.csv").write_text("path,label\na.png,dog\n")
    stamps.append(open_source(tmp_path / "list.csv").stamp())
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    stamps.append(open_source(tmp_path / "list.csv").stamp())
    assert len(set(stamps)) == 3


def contents(root: Path, count: int) -> list[bytes]:
    for number in range(count):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(root / f"{number}.png")
    return [(root / f"{number}.png").read_bytes() for number in range(count)]


def test_parquet_with_bytes(tmp_path: Path) -> None:
    files = contents(tmp_path, 7)
    table = pa.table({"image": files, "label": list("abababa"), "split": ["train", "test", "val"] + ["train"] * 4})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=2)
    source = open_source(tmp_path / "data.parquet")
    assert [source.read(i) for i in (6, 0, 3, 1, 2, 5, 4)] == [files[i] for i in (6, 0, 3, 1, 2, 5, 4)]
    assert [record.label for record in source.records] == list("abababa")
    assert [record.split for record in source.records][:3] == ["train", "test", "validation"]
    assert len({record.path for record in source.records}) == 7


def test_parquet_as_hugging_face_writes_it(tmp_path: Path) -> None:
    files = contents(tmp_path, 3)
    cells = [{"bytes": files[0], "path": "x.png"}, {"bytes": None, "path": "1.png"}, {"bytes": None, "path": None}]
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    table = pa.table({"image": cells, "label": [1, 0, -1]}).replace_schema_metadata(
        {"huggingface": json.dumps(features)}
    )
    pq.write_table(table, tmp_path / "data.parquet")
    source = open_source(tmp_path / "data.parquet")
    assert [record.label for record in source.records] == ["dog", "cat", None]
    assert [source.read(0), source.read(1)] == files[:2]
    with pytest.raises(OSError, match="no image"):
        source.read(2)


def test_parquet_reads_each_row_group_once_to_look_and_once_to_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"image": contents(tmp_path, 200)}), tmp_path / "data.parquet", row_group_size=3)
    read, groups = pq.ParquetFile.read_row_group, list[int]()

    def count(file: pq.ParquetFile, group: int, **settings: object) -> pa.Table:
        groups.append(group)
        return read(file, group, **settings)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", count)
    images = load_images(tmp_path / "data.parquet", recipe=DataRecipe(), store_px=64, cache=tmp_path / "cache")
    assert images.read(np.arange(200)).images[:, 0, 0, 0].tolist() == list(range(200))
    assert sorted(groups) == [group for group in range(67) for _ in range(2)]


def test_parquet_paths_are_shown_where_they_are_unique(tmp_path: Path) -> None:
    cells = [{"bytes": b"x", "path": f"{name}.png"} for name in "ab"]
    pq.write_table(pa.table({"image": cells}), tmp_path / "data.parquet")
    assert [record.path for record in open_source(tmp_path / "data.parquet").records] == ["a.png", "b.png"]


def test_parquet_without_pictures_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(TwofoldError, match=r"columns x, n.* column 'image'"):
        open_source(tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": [1]}), tmp_path / "b.parquet")
    with pytest.raises(TwofoldError, match="'image' of bytes"):
        open_source(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_text("no parquet")
    with pytest.raises(TwofoldError, match="cannot be read as a parquet file"):
        open_source(tmp_path / "c.parquet")


@pytest.mark.parametrize("text", ["{x", "[1]", '{"info": null}', '{"info": {"features": {"label": {"names": 7}}}}'])
def test_parquet_with_a_description_of_another_form_keeps_its_numbers(tmp_path: Path, text: str) -> None:
    table = pa.table({"image": contents(tmp_path, 2), "label": [1, 0]})
    pq.write_table(table.replace_schema_metadata({"huggingface": text}), tmp_path / "data.parquet")
    assert [record.label for record in open_source(tmp_path / "data.parquet").records] == ["1", "0"]


def test_parquet_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    columns = [pa.array(contents(tmp_path, 2)), pa.array(["a", "b"]), pa.array(["c", "d"])]
    for names, twice in ((["image", "label", "label"], "label"), (["image", "x", "x"], None)):
        pq.write_table(pa.Table.from_arrays(columns, names=names), tmp_path / "data.parquet")
        if twice is None:
            assert len(open_source(tmp_path / "data.parquet").records) == 2
            continue
        with pytest.raises(TwofoldError, match=f"has 2 columns '{twice}'"):
            open_source(tmp_path / "data.parquet")


def test_parquet_that_is_damaged_below_its_header_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"label": ["a" * 3000, "b"] * 3, "image": contents(tmp_path, 6)}), path, compression="NONE")
    content = path.read_bytes()
    path.write_bytes(content[:8] + bytes(2000) + content[2008:])
    with pytest.raises(TwofoldError, match=r"data\.parquet' cannot be read as a parquet file"):
        open_source(path)
