"""The embeddings that programs share: made once, kept by content, or read from a file of the same encoder."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.programs import embedded
from twofold.programs.embedded import open_embedded
from twofold.runs.encoder_file import save_encoder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/, run/, other/ (the same with other weights), cache/ and h.parquet."""
    home = tmp_path_factory.mktemp("embedded")
    data, cache = write_pictures(home / "data", per_class=8), home / "cache"
    twofold.pretrain(data, out=home / "run", recipe=SMALL, cache=cache, verbose=False)
    shutil.copytree(home / "run", home / "other")
    loaded = twofold.load(home / "run", device="cpu")
    with torch.no_grad():
        next(loaded.encoder.parameters()).mul_(2)
    save_encoder(home / "other" / "encoder.safetensors", loaded.encoder, loaded.recipe)
    twofold.embed(home / "run", data, out=home / "h.parquet", cache=cache, device="cpu", verbose=False)
    return home


def test_the_second_program_embeds_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"data": str(home / "data"), "cache": home / "cache"}
    first = open_embedded(home / "run", **asked)
    monkeypatch.setattr(embedded, "embed_images", None)
    again = open_embedded(home / "run", **asked)
    np.testing.assert_array_equal(first.embedded.h, again.embedded.h)
    assert again.embedded.paths == again.images.paths
    with pytest.raises(TypeError):
        open_embedded(home / "other", **asked)


def test_a_file_of_embeddings_is_read_in_their_stead(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"data": str(home / "data"), "cache": home / "cache"}
    made = open_embedded(home / "run", **asked).embedded
    monkeypatch.setattr(embedded, "embed_images", None)
    read = open_embedded(home / "run", **asked, embeddings=home / "h.parquet").embedded
    np.testing.assert_array_equal(made.h, read.h)
    assert read.key != made.key


def test_a_file_of_another_encoder_or_of_other_images_is_refused(home: Path, tmp_path: Path) -> None:
    asked = {"cache": home / "cache", "embeddings": home / "h.parquet"}
    with pytest.raises(TwofoldError, match=r"of another encoder.*let the images be embedded here"):
        open_embedded(home / "other", str(home / "data"), **asked)
    with pytest.raises(TwofoldError, match="lacks 3 of 27 images, such as"):
        open_embedded(home / "run", str(write_pictures(tmp_path / "more", per_class=9)), **asked)


def test_a_file_that_is_no_embeddings_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("mine")
    pq.write_table(pq.read_table(home / "h.parquet").drop(["embedding"]), tmp_path / "less.parquet")
    for name, words in (("text", "cannot be read as a parquet file"), ("less", "lacks one of the columns")):
        with pytest.raises(TwofoldError, match=words):
            open_embedded(
                home / "run", str(home / "data"), cache=home / "cache", embeddings=tmp_path / f"{name}.parquet"
            )


@pytest.mark.parametrize("program", ["pick", "search", "explore", "predict", "embed", "clean"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"path_colum": "x"}, "'path_colum'.*path_column"),
        ({"allow_outside": "yes"}, "allow_outside is 'yes'.*True or False"),
        ({"max_unreadable_fraction": 2}, r"max_unreadable_fraction is 2\.0.*a fraction in \[0, 1\)"),
        ({"cache": 3}, "cache is 3.*a path"),
        ({"precision": "fp33"}, "precision.*fp33"),
        ({"encoder": "resnet10"}, "encoder is 'resnet10'.*an nn.Module"),
    ],
)
def test_a_keyword_that_cannot_be_is_refused_by_every_program_before_any_work(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, given: dict[str, object], words: str
) -> None:
    monkeypatch.setattr(embedded, "load", None)
    own = {"search": {"query": home / "data" / "bars" / "000.png"}}
    with pytest.raises(TwofoldError, match=words):
        getattr(twofold, program)(
            home / "run",
            home / "data",
            out=tmp_path / "x.parquet",
            **own.get(program, {}),
            **{"cache": home / "cache", **given},
        )
    assert not (tmp_path / "x.parquet").exists()
