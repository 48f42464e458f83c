"""Whatever computes on a device computes the same on a pretended GPU, mixes nothing with the host, and seldom waits."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from networks import schedule
from own_augmentation import Darken
from pictures import write_pictures
from pretend_cuda import CUDA, Device, OnDevice, pretended_cuda
from small_recipe import SMALL
from twofold.data import ImageBatch, ImageSet, Loader, load_images, pixels
from twofold.distributed import World
from twofold.evaluation import (
    Settings,
    Subject,
    build_knn_monitor,
    build_network,
    embed_images,
    evaluate_encoder,
    fit_network,
)
from twofold.hardware.device import Hardware, resolve_hardware
from twofold.hardware.randomness import seed_random
from twofold.losses import build_loss, contrast_measures, nt_xent, nt_xent_version
from twofold.recipes.recipe import LossRecipe, Op, Recipe, ViewsRecipe
from twofold.runs import checkpoint
from twofold.runs.encoder_file import build_untrained, load
from twofold.runs.run_directory import Run
from twofold.speed.step_profile import profile_steps
from twofold.training import graph, loop, start
from twofold.training import step as training_step
from twofold.training.chunks import forward_chunks
from twofold.training.loop import pretrain
from twofold.training.monitoring import build_look
from twofold.training.progress import ProgressLine
from twofold.training.step import StepSetup, TrainState, build_state, make_views, train_step
from twofold.views import build_policy, center_view, one_view, sample_rows, sample_views, two_views
from twofold.views.ops import crop

CPU = torch.device("cpu")
N = 16


@pytest.fixture
def gpu() -> Iterator[Device]:
    with pretended_cuda() as device:
        yield device


def on(device: torch.device, precision: str = "fp32") -> Hardware:
    return Hardware(device, precision)


def host(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu()


# The pretence itself: each refusal and each count is what the tests below rest on.


def test_a_device_tensor_says_so_and_adds_up(gpu: Device) -> None:
    x = torch.arange(6.0).view(2, 3).to(CUDA)
    assert (x.device, x.is_cuda, type(x)) == (CUDA, True, OnDevice)
    assert (x + 1).sum().item() == 21
    assert torch.zeros(2, device=CUDA).device == CUDA
    assert torch.zeros(2).device == CPU
    assert x.cpu().device == CPU


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x, y: x + y,
        lambda x, y: torch.cat([x, y]),
        lambda x, y: x.index_select(0, torch.tensor([0])),
        lambda x, y: torch.where(x > 0, x, y),
        lambda x, y: y[x > 0],
        lambda x, y: nn.functional.linear(x, y),
    ],
)
def test_host_and_device_do_not_mix(gpu: Device, mixed: Any) -> None:
    with pytest.raises(RuntimeError, match=r"same device|indices"):
        mixed(torch.rand(3, 3).to(CUDA), torch.rand(3, 3))


def test_a_number_of_the_host_is_no_mixture(gpu: Device) -> None:
    assert (torch.ones(3).to(CUDA) * torch.tensor(2.0)).sum().item() == 6


def test_a_device_tensor_is_no_array(gpu: Device) -> None:
    with pytest.raises(TypeError, match="cpu"):
        torch.ones(3).to(CUDA).numpy()
    with pytest.raises(TypeError, match="cpu"):
        np.asarray(torch.ones(3).to(CUDA))


@pytest.mark.parametrize(
    ("asks", "kind"),
    [
        (lambda x: x.sum().item(), "read"),
        (lambda x: int(x.sum()), "read"),
        (lambda x: bool((x > 0).all()), "read"),
        (lambda x: x.cpu(), "read"),
        (lambda x: x.tolist(), "read"),
        (lambda x: torch.equal(x, x), "read"),
        (lambda x: x.nonzero(), "sized"),
        (lambda x: x[x > 0], "sized"),
        (lambda x: x.new_tensor([1.0]), "upload"),
        (lambda x: torch.tensor([1.0], device=x.device), "upload"),
        (lambda x: torch.ones(2).to(x.device), "upload"),
        (lambda x: x[torch.tensor([0, 1])], "upload"),
        (lambda x: x.copy_(torch.zeros(4)), "upload"),
        (lambda x: torch.cuda.synchronize(x.device), "sync"),
    ],
)
def test_a_wait_is_counted(gpu: Device, asks: Any, kind: str) -> None:
    x = torch.rand(4).to(CUDA)
    gpu.waits.clear()
    asks(x)
    assert {k for k, _ in gpu.waits} == {kind}


def test_what_stays_on_the_device_is_not_counted(gpu: Device) -> None:
    x = torch.rand(4, 4).to(CUDA)
    gpu.waits.clear()
    y = (x @ x).softmax(1).masked_fill_(x > 0, 0.0).sum() + torch.arange(3, device=CUDA).sum()
    torch.where(x > 0, x, 1.0).index_select(0, torch.zeros(2, dtype=torch.int64, device=CUDA))
    assert y.device == CUDA
    assert not gpu.waits


def test_the_device_draws_from_a_generator_of_its_own(gpu: Device) -> None:
    torch.cuda.manual_seed(1)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(2)
        first = torch.rand(3, device=CUDA)
        on_host = torch.rand(3)
        torch.default_generator.manual_seed(2)
        assert torch.equal(torch.rand(3), on_host), "drawing on the device does not move the host's generator"
    torch.cuda.manual_seed(1)
    assert torch.equal(host(torch.rand(3, device=CUDA)), host(first))
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(3, device=CUDA).normal_(generator=torch.Generator())


# Views.

ALL_OPS = (
    Op(name="crop", range=(0.2, 1.0)),
    Op(name="flip", prob=0.5),
    Op(name="jitter", prob=0.8, range=(0.8, 0.8, 0.8, 0.2)),
    Op(name="grayscale", prob=0.3),
    Op(name="blur", prob=0.5, range=(0.1, 2.0)),
    Op(name="cutout", prob=0.5, range=(0.1, 0.3)),
    Op(name="sobel", prob=0.3),
    Op(name="noise", prob=0.5, range=(0.05, 0.2)),
    Op(name="rotate", prob=0.5, range=(0.0, 3.0)),
    Op(name="rotate-degrees", prob=0.5, range=(-180.0, 180.0)),
    Op(name="vertical-flip", prob=0.5),
    Op(name="solarise", prob=0.3, range=(0.3, 0.7)),
)


OWN_OPS = (*ALL_OPS[:3], Op(augmentation=Darken(), prob=0.5), *ALL_OPS[3:5])

OF_CHANNELS = (
    Op(name="crop", range=(0.08, 1.0)),
    Op(name="channel-jitter", prob=0.8, range=(0.4, 0.1, 0.4)),
    Op(name="channel-drop", prob=0.5),
)


def pictures(count: int = N, side: int = 24, channels: int = 3) -> ImageBatch:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, channels, side, side), generator=draw, dtype=torch.uint8)
    return ImageBatch(images, torch.randint(side // 2, side + 1, (count, 2), generator=draw))


@pytest.mark.parametrize("size_px", [16, 96])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "ops", [None, ALL_OPS, OWN_OPS, OF_CHANNELS], ids=["simclr", "all ops", "own", "ops of channels"]
)
def test_views_are_those_of_the_host(gpu: Device, ops: tuple[Op, ...] | None, channels: int, size_px: int) -> None:
    count = 6
    batch = pictures(count, channels=channels)
    policy = build_policy(ViewsRecipe(size_px=size_px, ops=ops))
    pairs, singles = sample_views(policy, count, seed=3, step=5), sample_rows(policy, count, seed=3, step=5)
    how: dict[str, Any] = {"size_px": size_px, "interpolation": "bicubic"}
    for images in (batch.images, batch.images.to(CUDA)):
        made = (
            two_views(images, batch.sizes, pairs, **how),
            one_view(images, batch.sizes, singles, **how),
            center_view(images, batch.sizes, crop_fraction=0.875, **how),
        )
        assert {x.device for x in made} == {images.device}
        expected = made if images is batch.images else expected
        for one, other in zip(expected, made, strict=True):
            torch.testing.assert_close(host(other), one, rtol=0, atol=2e-6)


# Losses.


@pytest.mark.parametrize("n", [6, 400])  # 400: beyond the dense matrix of the CPU
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    ("loss", "semi_hard"),
    [("nt-xent", False), ("nt-logistic", False), ("nt-logistic", True), ("triplet", False), ("dcl", False)],
)
def test_losses_are_those_of_the_host(
    gpu: Device, monkeypatch: pytest.MonkeyPatch, loss: str, semi_hard: bool, normalize: bool, n: int
) -> None:
    choice = sys.modules["twofold.losses.nt_xent"]  # by attribute it is the function of this name
    monkeypatch.setattr(choice, "_DENSE_LOGITS_OFF_CPU", choice._DENSE_LOGITS)  # so that bits can be compared
    function = build_loss(LossRecipe(loss=loss, semi_hard=semi_hard, normalize=normalize, temperature=0.5))
    draw = torch.Generator().manual_seed(0)
    z = [torch.randn(n, 8, generator=draw) for _ in range(2)]
    found = []
    for device in (CPU, CUDA):
        own = [one.clone().to(device).requires_grad_() for one in z]
        gpu.waits.clear()
        value = function(own[0], own[1], (1, n - 2))
        value.backward()
        contrast_measures(own[0], own[1], temperature=0.5, anchors=(1, n - 2))
        assert not gpu.waits
        assert value.device == device
        found.append([host(value), *(host(one.grad) for one in own if one.grad is not None)])
    assert len(found[1]) == 3
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_what_is_dense_on_a_device_is_what_is_tiled_on_the_host(gpu: Device) -> None:
    n = 400
    draw = torch.Generator().manual_seed(0)
    z = [torch.randn(n, 8, generator=draw) for _ in range(2)]
    assert [nt_xent_version(n, n, device) for device in (CPU, CUDA)] == ["tiled", "dense"]
    found = []
    for device in (CPU, CUDA):
        own = [one.clone().to(device).requires_grad_() for one in z]
        value = nt_xent(*own, temperature=0.5)
        found.append([host(one) for one in (value, *torch.autograd.grad(value, own))])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-8)


# Training.


@pytest.fixture
def same_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host makes views as a device does, so that nothing but the steps can differ."""
    monkeypatch.setattr(crop, "on_device", lambda _: True)


def trained(
    device: torch.device, recipe: Recipe, steps: int = 2, *, precision: str = "fp32", dropout: bool = False
) -> tuple[TrainState, list[float]]:
    world, hardware = World(), on(device, precision)
    state = build_state(recipe, hardware, peak=0.05, world=world)
    if dropout:
        state.model.encoder.layer1.append(nn.Dropout(0.3))
    seeded = recipe.with_settings(seed=7)
    setup = StepSetup.of(seeded, hardware, world, world.share(N, recipe.schedule.fixed_chunk))
    losses = [train_step(state, pictures(), setup, lr=0.05)["loss"].item() for _ in range(steps)]
    return state, losses


def values(module: nn.Module) -> dict[str, Tensor]:
    return {name: host(tensor).clone() for name, tensor in module.state_dict().items()}


def require_alike(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-6) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize(
    ("optimizer", "chunk", "precision"),
    [
        *((optimizer, chunk, "fp32") for optimizer in ("lars", "sgd", "adamw") for chunk in (None, 6)),
        ("sgd", None, "bf16"),
        ("sgd", 6, "bf16"),
    ],
)
@pytest.mark.usefixtures("same_views")
def test_steps_are_those_of_the_host(gpu: Device, optimizer: str, chunk: int | None, precision: str) -> None:
    recipe = SMALL.with_settings(optimizer=optimizer, chunk=chunk)
    here, losses = trained(CPU, recipe, precision=precision)
    there, losses_there = trained(CUDA, recipe, precision=precision)
    assert losses_there == pytest.approx(losses, rel=1e-6)
    assert {weight.device for weight in there.model.parameters()} == {CUDA}
    require_alike(values(here.model), values(there.model))


@pytest.mark.parametrize("loss", ["nt-logistic", "triplet", "dcl"])
@pytest.mark.usefixtures("same_views")
def test_steps_with_other_losses_are_those_of_the_host(gpu: Device, loss: str) -> None:
    recipe = SMALL.with_settings(optimizer="sgd", loss=loss, policy="simclr")
    require_alike(values(trained(CPU, recipe)[0].model), values(trained(CUDA, recipe)[0].model))


def test_dropout_in_chunks_repeats_on_the_device(gpu: Device) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Dropout(0.5), nn.Linear(8, 4)).to(CUDA)
    masks: list[Tensor] = []
    model[2].register_forward_hook(lambda _m, _i, out: masks.append(host(out) != 0))
    a, b = torch.rand(N, 12).to(CUDA), torch.rand(N, 12).to(CUDA)
    chunks = [slice(start, start + 4) for start in range(0, N, 4)]
    forward_chunks(model, lambda part: model(torch.cat([a[part], b[part]])), chunks, key=(1,)).square().sum().backward()
    first, second = masks[:4], masks[4:]
    assert [torch.equal(one, other) for one, other in zip(first, reversed(second), strict=True)] == [True] * 4
    assert not torch.equal(first[0], first[1])


def test_dropout_whose_model_has_no_weights_repeats_too(gpu: Device) -> None:
    """What lies on the device, the model cannot tell."""
    dropout, a, b = nn.Dropout(0.5), torch.rand(N, 12).to(CUDA), torch.rand(N, 12).to(CUDA)
    weight = torch.rand(12, 4).to(CUDA).requires_grad_()
    chunks = [slice(start, start + 4) for start in range(0, N, 4)]

    def make_z(part: slice) -> Tensor:
        return dropout(torch.cat([a[part], b[part]])) @ weight

    z = forward_chunks(dropout, make_z, chunks, key=(1,))
    z.square().sum().backward()
    found = host(weight.grad)
    weight.grad = None
    outputs = []
    for number, part in enumerate(chunks):
        seed_random(CUDA, 1, number)
        outputs.append(torch.cat(make_z(part).chunk(2), dim=1))
    torch.cat(outputs).square().sum().backward()
    torch.testing.assert_close(host(z), host(torch.cat(outputs)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found, host(weight.grad), rtol=1e-5, atol=1e-6)


def test_a_step_with_dropout_is_a_function_of_seed_and_step(gpu: Device) -> None:
    recipe = SMALL.with_settings(optimizer="sgd", chunk=6)
    found = []
    for noise in (1, 2):  # of the program around it
        torch.cuda.manual_seed(noise)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(noise)
            found.append(values(trained(CUDA, recipe, steps=1, dropout=True)[0].model))
    require_alike(*found, tolerance=0.0)
    plain = values(trained(CUDA, recipe, steps=1)[0].model)
    assert not torch.equal(plain["encoder.conv1.weight"], found[0]["encoder.conv1.weight"]), "dropout acts"


# A step never waits, and views cost few launches.

VIEWS_OF_A_STEP = 120  # operations on the device for the views of a pass


@pytest.mark.parametrize(
    ("settings", "chunks"),
    [
        *(({"optimizer": optimizer}, 1) for optimizer in ("lars", "sgd", "adamw")),
        *(({"loss": loss}, 1) for loss in ("nt-logistic", "triplet", "dcl")),
        ({"loss": "triplet", "semi_hard": True}, 1),
        ({"optimizer": "lars", "policy": "small"}, 4),
        ({"ops": ("crop", "flip@0.5", "jitter@0.8", Darken())}, 1),
    ],
)
def test_a_step_waits_for_nothing(gpu: Device, settings: dict[str, Any], chunks: int) -> None:
    """The images are of mixed sizes, and pinned as the loader leaves them."""
    count = max(N, 2 * chunks)
    recipe = SMALL.with_settings(**{"policy": "simclr", **settings}, chunk=count // chunks)
    world, hardware = World(), on(CUDA)
    state = build_state(recipe, hardware, peak=0.05, world=world)
    setup = StepSetup.of(recipe, hardware, world, world.share(count, recipe.schedule.fixed_chunk))
    batch = pictures(count)
    batch = ImageBatch(batch.images.pin_memory(), batch.sizes)
    train_step(state, batch, setup, lr=0.05)
    gpu.waits.clear()
    gpu.launches.clear()
    train_step(state, batch, setup, lr=0.05)
    assert not gpu.waits
    launches = sum(count for line, count in gpu.launches.items() if line.startswith("views/"))
    assert 40 < launches / (1 if chunks == 1 else 2 * chunks) <= VIEWS_OF_A_STEP


def test_a_norm_that_asks_for_its_counter_is_seen(gpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above sees one question a norm and pass."""
    forward = nn.BatchNorm2d.forward

    def asks(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
        assert int(norm.num_batches_tracked) >= 0
        return forward(norm, x)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", asks)
    with pytest.raises(AssertionError):
        test_a_step_waits_for_nothing(gpu, {}, 8)


def test_ordinary_memory_makes_the_host_wait(gpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above sees a copy that is not of page-locked memory."""
    monkeypatch.setattr(Device, "pin", lambda _, tensor: tensor)
    with pytest.raises(AssertionError):
        test_a_step_waits_for_nothing(gpu, {}, 1)


# What looks at a model, and what is measured with it.


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", per_class=24, splits=("train", "test"), side=16)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def images(data: Path, cache: Path) -> ImageSet:
    return load_images(data, recipe=SMALL.data, store_px=SMALL.stored_px, cache=cache)


def test_looks_and_monitors_are_those_of_the_host(gpu: Device, images: ImageSet) -> None:
    found = []
    for device in (CPU, CUDA):
        state, _ = trained(device, SMALL.with_settings(optimizer="sgd"))
        monitor = build_knn_monitor(images, SMALL, on(device))
        assert monitor is not None
        found.append(build_look(lambda _: None, SMALL, on(device), images, [monitor])(state))
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    assert {"knn_top1", "uniformity", "h_effective_rank"} <= set(found[0])


def test_embeddings_are_those_of_the_host(gpu: Device, images: ImageSet) -> None:
    rows = images.rows("test")
    here, there = (
        embed_images(build_untrained(SMALL, 0, on(device)), images, rows, views=SMALL.views, hardware=on(device))
        for device in (CPU, CUDA)
    )
    np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("frozen", [False, True])
def test_fine_tuning_is_that_of_the_host(gpu: Device, images: ImageSet, frozen: bool) -> None:
    rows = images.rows("train")
    targets = images.class_ids[rows]
    found = []
    for device in (CPU, CUDA):
        encoder = build_untrained(SMALL, 0, on(device))
        network = build_network(encoder, dim=encoder.dim, classes=3, hardware=on(device), seed=1, frozen=frozen)
        fit_network(
            network, images, rows, targets, views=SMALL.views, hardware=on(device), schedule=schedule(5), seed=2
        )
        found.append(values(network))
    require_alike(*found, tolerance=1e-5)


def test_every_protocol_gives_the_figures_of_the_host(gpu: Device, images: ImageSet) -> None:
    protocols = ("knn", "linear", "sgd", "finetune")
    settings = Settings(protocols=protocols, seeds=(0,), few_seeds=(0,), shots=(5,), epochs=0.5)
    found = []
    for device in (CPU, CUDA):
        subject = Subject(
            encoder=build_untrained(SMALL, 3, on(device)),
            untrained=lambda seed, device=device: build_untrained(SMALL, seed, on(device)),
            views=SMALL.views,
            hardware=on(device),
        )
        evaluation = evaluate_encoder(subject, images, settings, data=SMALL.data)
        found.append({(row.protocol, row.encoder, str(row.labels), row.metric): row.mean for row in evaluation.rows})
    assert found[0].keys() == found[1].keys()
    assert {protocol for protocol, *_ in found[0]} == {"knn", "linear", "sgd", "finetune", "supervised"}
    for key, value in found[0].items():
        assert found[1][key] == pytest.approx(value, abs=0.03), key


# A whole run, interrupted and continued.


@pytest.mark.parametrize("resident", [None, False])
def test_a_run_asks_the_device_twice_for_a_row_of_its_log_and_else_never(
    gpu: Device, data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident: bool | None
) -> None:
    """Steps, their images and views included: they lie on the device, or the loader pins what it reads."""
    asked: dict[int, int] = {}

    def update(_line: ProgressLine, step: int, text: str) -> None:
        asked[step] = gpu.count()
        gpu.waits.clear()

    monkeypatch.setattr(ProgressLine, "update", update)
    monkeypatch.setattr(loop, "_METRIC_ROWS", 3)
    recipe = SMALL.with_settings(device="cuda", optimizer="sgd", epochs=2.0, monitor_share=1.0, checkpoint_minutes=60.0)
    recipe = recipe.with_settings(resident=resident)
    run = pretrain(data, out=tmp_path / "run", recipe=recipe, cache=cache)
    assert ("images" in run.read_recipe()["derived"]) is (resident is None)
    steps = run.read_recipe()["steps"]
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    logged = {row["step"] for row in rows if "loss" in row} - {steps}
    quiet = {*range(2, steps)} - logged  # before the first one the device is looked at
    assert logged
    assert quiet
    assert {asked[step] for step in quiet} == {0}, asked
    assert all(0 < asked[step] <= 2 for step in logged), asked
    assert asked[steps] > 2, "what is asked for is seen"


def test_pictures_from_ordinary_memory_are_seen_to_make_each_step_wait(
    gpu: Device, data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "page_locked", lambda shape: torch.zeros(shape, dtype=torch.uint8))
    with pytest.raises(AssertionError, match=": 1, "):
        test_a_run_asks_the_device_twice_for_a_row_of_its_log_and_else_never(
            gpu, data, cache, tmp_path, monkeypatch, resident=False
        )


def test_all_that_trains_from_a_loader_pins_its_pictures(
    gpu: Device, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    init = Loader.__init__

    def watched(loader: Loader, *arguments: Any, **options: Any) -> None:
        asked.append(options.get("pinned", False))
        init(loader, *arguments, **options)

    monkeypatch.setattr(Loader, "__init__", watched)
    rows = images.rows("train")
    for device in (CPU, CUDA):
        hardware, world = on(device), World()
        encoder = build_untrained(SMALL, 0, hardware)
        network = build_network(encoder, dim=encoder.dim, classes=3, hardware=hardware, seed=1)
        fit_network(
            network,
            images,
            rows,
            images.class_ids[rows],
            views=SMALL.views,
            hardware=hardware,
            schedule=schedule(1),
            seed=2,
        )
        profile_steps(SMALL, hardware, images, world=world, share=world.share(N), steps=1)
    assert asked == [False, False, True, True]


def test_images_on_the_device_train_the_same_encoder_to_the_bit(
    gpu: Device, data: Path, cache: Path, tmp_path: Path
) -> None:
    recipe = SMALL.with_settings(device="cuda", optimizer="sgd", epochs=0.6)
    exported = []
    for resident in (True, False):
        own = recipe.with_settings(resident=resident)
        exported.append(values(load(pretrain(data, out=tmp_path / str(resident), recipe=own, cache=cache)).encoder))
    require_alike(exported[0], exported[1], tolerance=0.0)


def test_a_chunk_that_is_too_large_is_halved_before_training_and_kept_by_a_continued_run(
    gpu: Device, data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = training_step.learn
    chunks: list[int] = []

    def learn(state: TrainState, make_x: Any, setup: Any, **options: Any) -> Any:
        chunks.append(setup.share.chunks[0].stop)
        if chunks[-1] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return steps(state, make_x, setup, **options)

    monkeypatch.setattr(start, "choose_chunk", lambda *_, **__: N)  # as if it had been measured to fit
    monkeypatch.setattr(training_step, "learn", learn)
    recipe = SMALL.with_settings(device="cuda", optimizer="sgd", epochs=0.3, chunk="auto")
    run = pretrain(data, out=tmp_path / "run", recipe=recipe, cache=cache)
    assert chunks[:3] == [16, 8, 4]
    assert set(chunks[2:]) == {4}
    record = run.read_recipe()
    assert record["plan"]["chunk"] == 4
    assert "in 4 chunks of 4" in record["derived"]["chunks"]
    assert record["recipe"]["schedule"]["chunk"] == "auto"
    run.encoder.unlink()
    for path in run.checkpoints.iterdir():
        path.unlink()
    chunks.clear()
    pretrain(data, out=tmp_path / "run", recipe=recipe, cache=cache)
    assert set(chunks) == {4}, "the run's own, not measured anew"


class StopError(Exception):
    """What ends a run in the middle."""


def test_a_run_continues_on_the_device_as_if_nothing_had_happened(
    gpu: Device, data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = SMALL.with_settings(device="cuda", optimizer="sgd", checkpoint_minutes=0.0, chunk=8)
    assert resolve_hardware(recipe.hardware).device.type == "cuda"
    whole = pretrain(data, out=tmp_path / "whole", recipe=recipe, cache=cache)

    taken = checkpoint.save_checkpoint

    def stopping(folder: Path, step: int, *rest: Any, **more: Any) -> Any:
        path = taken(folder, step, *rest, **more)
        if step == 3:
            raise StopError
        return path

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_checkpoint", stopping)
        with pytest.raises(StopError):
            pretrain(data, out=tmp_path / "parts", recipe=recipe, cache=cache)
    parts = pretrain(data, out=tmp_path / "parts", recipe=recipe, cache=cache)
    here = pretrain(data, out=tmp_path / "here", recipe=recipe.with_settings(device="cpu"), cache=cache)
    exported = [values(load(run.folder).encoder) for run in (whole, parts, here)]
    require_alike(exported[0], exported[1], tolerance=0.0)
    require_alike(exported[2], exported[0], tolerance=1e-4)
    assert Run(parts.folder).encoder.exists()


@pytest.mark.parametrize("kind", [graph._Images, graph._Views])
def test_what_a_recorded_step_is_given_waits_for_nothing(gpu: Device, kind: Any) -> None:
    """From images or from views on: new ones arrive in the places that the recording reads."""
    batch = pictures(N)
    batch, ops = ImageBatch(batch.images.pin_memory(), batch.sizes), build_policy(SMALL.views)
    first, second = (sample_views(ops, N, seed=1, step=step) for step in (0, 1))
    held = kind(batch, first, SMALL.views, on(CUDA))
    place = held.make_x(slice(None)) if kind is graph._Views else held._images
    gpu.waits.clear()
    held.put(batch, second)
    x = held.make_x(slice(None))
    assert gpu.count() == 0, gpu.waits
    assert place is (x if kind is graph._Views else held._images)
    expected = make_views(batch, second, SMALL.views, on(CUDA))
    torch.testing.assert_close(x.cpu(), expected.cpu(), rtol=0, atol=0)


@pytest.mark.parametrize(("pinned", "non_blocking", "waits"), [(True, True, 0), (True, False, 1), (False, True, 1)])
def test_a_copy_to_a_place_of_the_device_goes_on_by_itself_from_page_locked_memory(
    gpu: Device, pinned: bool, non_blocking: bool, waits: int
) -> None:
    place, numbers = torch.zeros(3, device=CUDA), torch.arange(3.0)
    gpu.waits.clear()
    place.copy_(numbers.pin_memory() if pinned else numbers, non_blocking=non_blocking)
    assert gpu.count() == waits
    assert torch.equal(place.cpu(), numbers)
