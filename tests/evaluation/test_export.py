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


def test_no_rows_make_an_empty_table(tmp_path):
    path = write_embeddings([], [], H[:0], tmp_path / "h.parquet")
    assert pq.read_table(path).num_rows == 0


@pytest.mark.parametrize("name", ["h.csv", "h", "h.parquet.gz"])
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
        with pytest.raises(TwofoldError, match=rf"--out '.*{name}.parquet' is .*[Cc]hoose another name for --out"):
            write_embeddings(PATHS, LABELS, H, path)
        assert (path.read_bytes() if path.is_file() else None) == before
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.parquet" for name in ("data", "text", "folder", "lost", "more")
    }


def test_earlier_embeddings_are_replaced(tmp_path):
    write_embeddings(PATHS[:2], LABELS[:2], H[:2], tmp_path / "h.parquet")
    _check(write_embeddings(PATHS, LABELS, H, tmp_path / "h.parquet"))
