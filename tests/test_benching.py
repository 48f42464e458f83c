"""What is recommended from made-up trials, and the whole on small pictures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pictures import write_pictures
from twofold import api
from twofold.benching import Trial, flops_per_view, matrix_flops, recommend
from twofold.errors import TwofoldError
from twofold.recipe import Recipe
from twofold.runtime.device import Hardware

CPU = Hardware(torch.device("cpu"), "fp32")


def trial(encoder: str, batch_size: int, images_per_s: float, flops: int) -> Trial:
    return Trial(
        encoder=encoder,
        width=1.0,
        batch_size=batch_size,
        images_per_s=images_per_s,
        encoder_share=0.9,
        wait_share=0.0,
        matrix_share=0.5,
        peak_bytes=None,
        flops_per_view=flops,
    )


SMALL = [trial("resnet10", 64, 900.0, 1), trial("resnet10", 128, 1000.0, 1), trial("resnet10", 256, 960.0, 1)]
LARGE = [trial("resnet50", 64, 100.0, 9)]


def test_the_largest_encoder_that_sees_enough() -> None:
    assert recommend([*SMALL, *LARGE], images=4000, minutes=20.0)[0] == LARGE[0]  # 30 times
    assert recommend([*SMALL, *LARGE], images=4001, minutes=20.0)[0] == SMALL[2]


def test_the_largest_batch_that_is_nearly_the_fastest() -> None:
    assert recommend(SMALL, images=1000, minutes=20.0)[0].batch_size == 256
    slower = [*SMALL[:2], replace(SMALL[2], images_per_s=940.0)]
    assert recommend(slower, images=1000, minutes=20.0)[0].batch_size == 128


def test_the_fastest_where_none_sees_enough_and_the_first_without_minutes() -> None:
    chosen, why = recommend([*LARGE, *SMALL], images=10**8, minutes=1.0)
    assert chosen == SMALL[2]
    assert "none here" in why
    assert recommend([*LARGE, *SMALL], images=10**8, minutes=None)[0] == LARGE[0]


def test_multiplications_are_counted_as_by_hand() -> None:
    """ResNet-10, one stage: stem 3x3 on 3 channels, one block of two 3x3 convolutions, a head of 64 -> 64 -> 8."""
    recipe = Recipe().with_settings(
        size_px=16, encoder="resnet10", stages=1, stem="small", head_layers=2, z_dim=8, policy="small"
    )
    pixels = 16 * 16
    stem, block, head = pixels * 64 * 27, 2 * pixels * 64 * 576, 64 * 64 + 64 * 8
    forward, backward = stem + block + head, stem + 2 * (block + head)  # the pictures get no gradient
    assert flops_per_view(recipe, CPU) == 2 * (forward + backward)


def test_the_matrix_rate_is_that_of_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twofold.benching._MATRIX", {"cpu": 64})
    assert 1e6 < matrix_flops(CPU) < 1e14


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", per_class=90)


def test_bench_measures_recommends_and_writes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.benching._MATRIX", {"cpu": 256})
    out = tmp_path / "figures" / "bench.json"
    tiny = {"size_px": 12, "stages": 1, "width": 0.25, "stem": "strided", "device": "cpu", "precision": "fp32"}
    found = api.bench(data, out=out, seconds=2.0, cache=tmp_path, encoder="resnet10", **tiny)
    assert found.choice in found.trials
    assert found.trials[0].name == "resnet10 x 0.25"
    for one in found.trials:
        assert one.images_per_s > 0
        assert 0 < one.encoder_share < 1
        assert 0 <= one.wait_share < 1
        assert one.matrix_share > 0
    written = json.loads(out.read_text())
    assert written["choice"]["batch_size"] == found.choice.batch_size
    assert len(written["trials"]) == len(found.trials)
    said = capsys.readouterr().out.replace("\n", " ")
    assert f"--batch-size {found.choice.batch_size}" in said
    assert f"--encoder {found.choice.encoder}" in said


def test_bench_refuses_what_cannot_work(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match=r"seconds is 0.* above 0"):
        api.bench(data, out=tmp_path / "b.json", seconds=0.0)
    with pytest.raises(TwofoldError, match=r"out is .*b\.txt.* ends in \.json"):
        api.bench(data, out=tmp_path / "b.txt")
    few = write_pictures(tmp_path / "few", per_class=1)
    with pytest.raises(TwofoldError, match="needs at least 8"):
        api.bench(few, out=tmp_path / "b.json", cache=tmp_path, device="cpu", batch_size=2)
