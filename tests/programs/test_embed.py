"""Embeddings in shards, by a program that is called for each, again and again."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.evaluation import read_embeddings
from twofold.programs import embed as program


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("embed")
    data = write_pictures(home / "data", per_class=7)
    (data / "bars" / "broken.png").write_bytes(b"no image")
    twofold.pretrain(data, out=home / "run", recipe=SMALL.with_settings(epochs=1.0, batch_size=8), cache=home / "cache")
    return home


def call(home: Path, name: str, **settings: object) -> Path:
    return twofold.embed(
        home / "run",
        home / "data",
        out=home / name,
        cache=home / "cache",
        device="cpu",
        **settings,  # type: ignore[arg-type]
    )


def test_shards_together_are_the_whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_AT_ONCE", 4)
    whole = pq.read_table(call(home, "whole.parquet"))
    files = [call(home, "part.parquet", shard=f"{place}/3") for place in (1, 2, 3)]
    assert [file.name for file in files] == [f"part-0000{place}-of-00003.parquet" for place in (1, 2, 3)]
    parts = [pq.read_table(file) for file in files]
    together = pa.concat_tables(part.replace_schema_metadata() for part in parts)
    assert together.select(["path", "label"]) == whole.replace_schema_metadata().select(["path", "label"])
    h = np.array(together["embedding"].to_pylist())
    np.testing.assert_allclose(h, np.array(whole["embedding"].to_pylist()), atol=1e-5)
    assert pq.ParquetFile(files[0]).num_row_groups == 2


def test_a_shard_that_is_there_is_left_alone_and_another_is_made(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = call(home, "again.parquet", shard="1/2")
    before = first.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(program, "embed_rows", lambda *_: pytest.fail("embedded again"))
        assert call(home, "again.parquet", shard="1/2") == first
        assert "holds these embeddings already" in capsys.readouterr().out
        with pytest.raises(pytest.fail.Exception):
            call(home, "again.parquet", shard="1/2", float16=True)
    assert first.stat().st_mtime_ns == before
    assert call(home, "again.parquet", shard="2/2").exists()


def test_the_file_says_what_made_it_and_what_it_lacks(home: Path) -> None:
    file = call(home, "told.parquet", float16=True)
    about = {key.decode(): value.decode() for key, value in pq.read_schema(file).metadata.items()}
    assert about["run"] == str(home / "run")
    assert json.loads(about["settings"])["float16"] is True
    (unreadable,) = json.loads(about["unreadable"])
    assert unreadable["path"] == "bars/broken.png"
    assert "not recognised as an image" in unreadable["reason"]
    paths = pq.read_table(file)["path"].to_pylist()
    assert read_embeddings(file, paths, encoder=about["encoder"], reading=about["reading"]).dtype == np.float32
    with pytest.raises(TwofoldError, match="another encoder"):
        read_embeddings(file, paths, encoder="0" * 32, reading=about["reading"])
    with pytest.raises(TwofoldError, match=r"were read by --pages first, not by --pages images\. Write it again"):
        read_embeddings(file, paths, encoder=about["encoder"], reading="--pages images")


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", ""])
def test_a_shard_that_cannot_be_is_one_clear_error(home: Path, shard: str) -> None:
    with pytest.raises(TwofoldError, match=r"shard is .*such as 2/8.*--shard"):
        call(home, "x.parquet", shard=shard)
