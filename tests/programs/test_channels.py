"""A whole run of five channels, from NumPy files to an encoder, embeddings, an evaluation, predictions and a page."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import twofold
from pictures import picture
from small_recipe import SMALL
from twofold.models import build_encoder
from twofold.runs.encoder_file import load


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("channels")
    for kind in ("bars", "discs"):
        (home / "data" / kind).mkdir(parents=True)
        for number in range(12):
            rgb = picture(kind, number, 36).astype(np.uint16) * 16
            np.save(home / "data" / kind / f"{number:02d}.npy", np.concatenate([rgb, 4095 - rgb[:, :, :2]], axis=2))
    recipe = SMALL.with_settings(channels=5, batch_size=8)
    twofold.pretrain(home / "data", out=home / "run", recipe=recipe, cache=home / "cache")
    return home


def test_every_stage_takes_five_channels(home: Path) -> None:
    run, data, cache = home / "run", home / "data", home / "cache"
    assert load(run).encoder.conv1.weight.shape[1] == 5  # type: ignore[union-attr, index]
    assert (run / "report.html").stat().st_size > 10_000
    table = pq.read_table(twofold.embed(run, data, out=home / "h.parquet", cache=cache))  # type: ignore[no-untyped-call]
    h = np.array(table["embedding"].to_pylist())
    assert h.shape[0] == 24
    assert np.ptp(h, axis=0).max() > 0
    twofold.evaluate(run, data=data, cache=cache, protocol="knn", seeds=1)
    twofold.predict(run, data, out=home / "predictions", cache=cache)
    assert (home / "predictions" / "predictions.csv").read_text().count("\n") == 25
    twofold.clean(run, data, out=home / "clean", cache=cache)
    assert (home / "clean" / "clean.html").exists()


def test_a_file_of_three_channels_begins_a_run_of_five(home: Path, tmp_path: Path) -> None:
    """The first convolution is widened: the response to channels that are all equal stays what it was."""
    weights = build_encoder(SMALL.encoder, channels=3).state_dict()
    torch.save(weights, tmp_path / "three.pth")
    twofold.pretrain(
        home / "data",
        out=tmp_path / "five",
        recipe=SMALL.with_settings(channels=5, batch_size=8, base_lr=1e-30),
        init=str(tmp_path / "three.pth"),
        init_normalization="none",
        cache=home / "cache",
    )
    after = load(tmp_path / "five").encoder.conv1.weight  # type: ignore[union-attr]
    assert after.shape[1] == 5  # type: ignore[index]
    torch.testing.assert_close(after.sum(dim=1), weights["conv1.weight"].sum(dim=1), rtol=0, atol=1e-5)  # type: ignore[operator]
