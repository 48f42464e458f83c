"""A run with --duplicates apart never trains on two copies in one batch, and continues with the same copies alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.data import Loader, load_images
from twofold.errors import TwofoldError


def test_batches_hold_no_two_copies_and_other_copies_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_pictures(tmp_path / "data", per_class=8, side=16, splits=("train", "test"))
    for number in range(3):
        shutil.copy(data / "train" / "discs" / "000.png", data / "train" / "discs" / f"copy{number}.png")
    findings = tmp_path / "findings.csv"
    findings.write_text("kind,path,other\ncopy,train/bars/001.png,train/bars/002.png\n")
    own, batches = Loader._own, []
    monkeypatch.setattr(Loader, "_own", lambda *asked: (batches.append(own(*asked)), batches[-1])[1])
    asked: dict[str, Any] = {"recipe": SMALL, "batch_size": 6, "epochs": 1.0, "cache": tmp_path / "c", "verbose": False}
    asked["duplicates"] = str(findings)
    twofold.pretrain(data, out=tmp_path / "run", **asked)
    record = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert record["derived"]["copies"] == "6 images in 2 groups, never two of one group in a batch"
    paths = load_images(data, recipe=SMALL.data, store_px=None, cache=tmp_path / "c").paths
    bars, discs = (
        {"train/bars/001.png", "train/bars/002.png"},
        {"train/discs/000.png", *(f"train/discs/copy{i}.png" for i in range(3))},
    )
    groups = np.array([1 if path in bars else 0 if path in discs else -1 for path in paths])
    assert (groups >= 0).sum() == 6
    assert len(batches) >= 4
    for batch in batches:
        known = groups[batch][groups[batch] >= 0].tolist()
        assert len(known) == len(set(known))
    findings.write_text("kind,path,other\ncopy,train/bars/001.png,train/bars/003.png\n")
    with pytest.raises(TwofoldError, match="begun with other copies than --duplicates gives now"):
        twofold.pretrain(data, out=tmp_path / "run", **asked)
