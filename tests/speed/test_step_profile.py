"""The parts of a step: they add up, and what is slowed is what is seen."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from pictures import write_pictures
from twofold.console import console
from twofold.data import ImageSet, load_images
from twofold.distributed import World
from twofold.hardware.device import Hardware
from twofold.losses import build as choosing
from twofold.recipes.recipe import Recipe
from twofold.speed import step_profile
from twofold.speed.step_profile import PARTS, Profile, profile_steps, show_profile
from twofold.training import step

CPU = Hardware(torch.device("cpu"), "fp32")
TINY = Recipe().with_settings(
    size_px=12, encoder="resnet10", stages=1, width=0.25, stem="strided", z_dim=8, batch_size=8, policy="small"
)
NAP_S = 0.3  # many times a step, under which a slow read hides, even where other processes take the cores


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = write_pictures(tmp_path_factory.mktemp("data") / "pictures", per_class=16)
    return load_images(
        folder, recipe=TINY.data, store_px=24, cache=tmp_path_factory.mktemp("cache"), show_progress=False
    )


def profiled(images: ImageSet, steps: int = 3, **options: Any) -> Profile:
    share = World().share(8, None)
    return profile_steps(TINY, CPU, images, world=World(), share=share, steps=steps, **options)


def test_the_parts_add_up_to_a_step(images: ImageSet) -> None:
    found = profiled(images, steps=9)
    assert found.steps == 9
    assert tuple(found.parts_s) == PARTS
    assert all(seconds > 0 for part, seconds in found.parts_s.items() if part != "data wait")
    assert sum(found.parts_s.values()) == pytest.approx(found.step_s, rel=0.3)
    assert 0 < found.encoder_share < 1
    assert found.images_per_s == pytest.approx(8 / found.step_s)


def slowed(function: Any) -> Any:
    def slow(*arguments: Any, **options: Any) -> Any:
        time.sleep(NAP_S)
        return function(*arguments, **options)

    return slow


@pytest.mark.parametrize(
    ("part", "owner", "name"),
    [
        ("data wait", ImageSet, "read"),
        ("views", step, "make_views"),
        ("forward", step.SimCLR, "forward"),
        ("loss", choosing, "nt_xent"),
        ("backward", World, "sum_gradients"),
        ("optimizer", torch.optim.SGD, "step"),
        ("rest", step, "contrast_measures"),
    ],
)
def test_what_is_slow_is_seen_and_nothing_else(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch, part: str, owner: Any, name: str
) -> None:
    if part == "optimizer":
        built = step.build_optimizer

        def build(*arguments: Any, **options: Any) -> torch.optim.Optimizer:
            optimizer = built(*arguments, **options)
            optimizer.register_step_post_hook(lambda *_: time.sleep(NAP_S))  # called before the clock's own
            return optimizer

        monkeypatch.setattr(step, "build_optimizer", build)
    else:
        monkeypatch.setattr(owner, name, slowed(getattr(owner, name)))
    found = profiled(images)
    assert found.parts_s[part] > 0.5 * NAP_S
    assert max(found.parts_s, key=lambda one: found.parts_s[one]) == part


def test_what_was_read_during_a_slow_start_hides_no_waiting(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = step.SimCLR.forward, [0]

    def slow_first(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        time.sleep(5 * NAP_S if calls[0] == 1 else 0)
        return forward(*arguments, **options)

    monkeypatch.setattr(step.SimCLR, "forward", slow_first)
    monkeypatch.setattr(ImageSet, "read", slowed(ImageSet.read))
    found = profiled(images)
    assert found.parts_s["data wait"] > 0.5 * NAP_S
    assert found.step_s < 3 * NAP_S


def test_seconds_end_it_early(images: ImageSet) -> None:
    assert profiled(images, steps=10_000, seconds=0.01).steps == 3


def test_no_hook_stays_behind_and_random_numbers_repeat(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    states = []

    def build(*arguments: Any, **options: Any) -> step.TrainState:
        states.append(step.build_state(*arguments, **options))
        return states[-1]

    monkeypatch.setattr(step_profile, "build_state", build)
    before = torch.get_rng_state()
    profiled(images)
    assert torch.equal(before, torch.get_rng_state())
    assert not states[0].model._forward_hooks
    assert not states[0].model._forward_pre_hooks


def test_the_peak_is_measured_on_request(images: ImageSet, tmp_path: Path) -> None:
    assert profiled(images).peak_bytes is None
    peak = profiled(images, measure_memory=True).peak_bytes
    assert peak is not None
    assert peak > 2**20


def test_a_step_that_training_does_as_one_graph_is_told_apart(
    images: ImageSet, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its parts are measured one by one, so the table is not about the speed of the run."""
    share, hardware = World().share(8, None), replace(CPU, compiled=True)
    plain, graph = (profile_steps(TINY, one, images, world=World(), share=share, steps=3) for one in (CPU, hardware))
    assert (plain.trained_as_graph, graph.trained_as_graph) == (False, True)
    assert graph.to_dict()["trained_as_graph"] is True
    with mock.patch.object(console, "other_speaks", False):
        for profile, said in ((plain, False), (graph, True)):
            show_profile(profile)
            assert ("as one CUDA graph" in " ".join(capsys.readouterr().out.split())) is said
