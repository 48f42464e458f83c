"""The sheet of first views is made as it is shown: of a few images, without a compiler."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pictures import write_pictures
from small_recipe import SMALL
from twofold.data import ImageBatch, load_images
from twofold.hardware.device import Hardware
from twofold.training import start


def test_nothing_is_compiled_for_a_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, recipe = write_pictures(tmp_path / "pictures", per_class=4, side=16), SMALL.with_settings(batch_size=8)
    images = load_images(folder, recipe=recipe.data, store_px=16, cache=tmp_path / "cache", show_progress=False)
    seen: list[Hardware] = []
    make_views = start.make_views

    def watch(batch: ImageBatch, draws: Any, views: Any, hardware: Hardware) -> torch.Tensor:
        seen.append(hardware)
        return make_views(batch, draws, views, hardware)

    monkeypatch.setattr(start, "make_views", watch)
    hardware = Hardware(torch.device("cpu"), "fp32", compiled=True)
    start._first_views(recipe, hardware, images, np.arange(8))
    assert seen == [replace(hardware, compiled=False)]
