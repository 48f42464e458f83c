import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twofold.errors import TwofoldError
from twofold.evaluation import export, write_embeddings

H = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
PATHS = [f"é{row}.png" for row in range(5)]
LABELS = ["a", None, "b", "a", None]


def _check(path):
    table = pq.read_table(path)
    assert table.column_names == ["path", "label", "embedding"]
    assert table.schema.field("embedding").type == pa.list_(pa.float32())
    assert table["path"].to_pylist() == PATHS
    assert table["label"].to_pylist() == LABELS
    np.testing.assert_array_equal(np.array(table["embedding"].to_pylist(), np.float32), H)


def test_what_is_written_is_read_back_and_folders_are_made(tmp_path):
    path = write_embeddings(PATHS, LABELS, H, tmp_path / "new" / "h.parquet")
    _check(path)
    assert [p.name for p in path.parent.iterdir()] == ["h.parquet"]


def test_chunks_do_not_show(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_CHUNK", 2)
    _check(write_embeddings(PATHS, LABELS, H, tmp_path / "h.parquet"))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("end", [".parquet", ".csv", ".npy"])
def test_parts_are_read_back_in_every_form_with_what_made_them(tmp_path, end, half):
    out = tmp_path / f"h{end}"
    about = {"encoder": "abc", "run": "é"}
    write_embeddings(PATHS, LABELS, (H[:2], H[2:3], H[3:]), out, about=about, half=half)
    rows, numbers = _read(out)
    assert rows == [(path, label or "") for path, label in zip(PATHS, LABELS, strict=True)]
    dtype = np.float16 if half else np.float32
    np.testing.assert_array_equal(numbers.astype(dtype), H.astype(dtype))
    assert export.embeddings_about(out) == about | {"twofold": "embeddings"}
    write_embeddings(PATHS[:1], LABELS[:1], H[:1], out)  # in its place
    assert len(_read(out)[1]) == 1
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    write_embeddings([], [], H[:0], out)
    assert _read(out)[0] == []


def _read(out):
    """By readers of others."""
    if out.suffix == ".parquet":
        table = pq.read_table(out).to_pylist()
        return [(one["path"], one["label"] or "") for one in table], np.array([one["embedding"] for one in table])
    listed = out.with_name("h.npy.rows.csv") if out.suffix == ".npy" else out
    lines = list(csv.reader(listed.read_text(encoding="utf-8").splitlines()))
    rows = [(line[0], line[1]) for line in lines[1:]]
    return rows, np.load(out) if out.suffix == ".npy" else np.array([line[2:] for line in lines[1:]], np.float32)


def test_memory_holds_one_part_of_the_rows(tmp_path):
    """Each part is written before the next is made: a group of rows of its own."""
    seen = []

    def parts():
        for start in range(3):
            partial = tmp_path / ".h.parquet.partial"
            seen.append(partial.stat().st_size if partial.exists() else 0)
            yield np.random.default_rng(start).normal(size=(1000, 64)).astype(np.float32)

    write_embeddings(["x"] * 3000, [None] * 3000, parts(), tmp_path / "h.parquet")
    assert seen[0] < 1000
    assert seen[1] > 1000 * 64 * 3
    assert seen[2] > 2 * seen[1] - 1000
    assert pq.ParquetFile(tmp_path / "h.parquet").num_row_groups == 3


@pytest.mark.parametrize("end", [".csv", ".npy"])
def test_csv_and_npy_that_are_not_ours_stay(tmp_path, end):
    out = tmp_path / f"h{end}"
    out.write_text("mine")
    with pytest.raises(TwofoldError, match=r"another name for --out"):
        write_embeddings(PATHS, LABELS, H, out)
    assert out.read_text() == "mine"
    out.rename(tmp_path / f"h{end}.json")
    with pytest.raises(TwofoldError, match=r"another name for --out"):
        write_embeddings(PATHS, LABELS, H, out)


def test_two_at_once_are_one_clear_error(tmp_path):
    def parts():
        with pytest.raises(TwofoldError, match=r"another process is writing '.*h.parquet'.*--out"):
            write_embeddings(PATHS, LABELS, H, tmp_path / "h.parquet")
        yield H

    _check(write_embeddings(PATHS, LABELS, parts(), tmp_path / "h.parquet"))


def test_no_rows_make_an_empty_table(tmp_path):
    path = write_embeddings([], [], H[:0], tmp_path / "h.parquet")
    assert pq.read_table(path).num_rows == 0


@pytest.mark.parametrize("name", ["h.txt", "h", "h.parquet.gz"])
def test_another_ending_is_refused_with_the_right_one(tmp_path, name):
    with pytest.raises(TwofoldError, match=r"Give '.*\.parquet'"):
        write_embeddings(PATHS, LABELS, H, tmp_path / name)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TwofoldError, match="Change --out"):
        write_embeddings(PATHS, LABELS, H, tmp_path / "file" / "h.parquet")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_embeddings(PATHS, LABELS, H, tmp_path / "h.parquet")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(TwofoldError, match="No space left"):
        write_embeddings(PATHS[:2], LABELS[:2], H[:2], path)
    monkeypatch.undo()
    _check(path)
    assert [p.name for p in tmp_path.iterdir()] == ["h.parquet"]


def test_what_is_not_ours_is_refused_and_stays(tmp_path):
    table = pa.table({"path": PATHS, "label": LABELS, "embedding": [[1.0]] * 5})  # the same columns
    pq.write_table(table, tmp_path / "data.parquet")
    (tmp_path / "text.parquet").write_text("mine")
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "lost.parquet").symlink_to(tmp_path / "nowhere")
    write_embeddings(PATHS, LABELS, H, tmp_path / "more.parquet")
    own = pq.read_table(tmp_path / "more.parquet")
    pq.write_table(own.append_column("mine", pa.array(range(5))), tmp_path / "more.parquet")
    assert b"twofold" in pq.read_schema(tmp_path / "more.parquet").metadata
    for name in ("data", "text", "folder", "lost", "more"):
        path = tmp_path / f"{name}.parquet"
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(
            TwofoldError,
            match=rf"--out '.*{name}.parquet' (is|exists already and is) not .*[Cc]hoose another name for --out",
        ):
            write_embeddings(PATHS, LABELS, H, path)
        assert (path.read_bytes() if path.is_file() else None) == before
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.parquet" for name in ("data", "text", "folder", "lost", "more")
    }


def test_earlier_embeddings_are_replaced(tmp_path):
    write_embeddings(PATHS[:2], LABELS[:2], H[:2], tmp_path / "h.parquet")
    _check(write_embeddings(PATHS, LABELS, H, tmp_path / "h.parquet"))
