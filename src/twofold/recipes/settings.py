"""The recipe's leaves as keyword arguments of Python, with their types: what an editor completes."""

from typing import TypedDict

from twofold.recipes.recipe import Op


class PlainSettings(TypedDict, total=False):
    """Every setting but those that may be given as an object too; what each means is its flag's help."""

    channels: int
    store_px: int | None
    max_unreadable_fraction: float
    test_fraction: float
    selection_fraction: float
    data_seed: int
    size_px: int
    policy: str
    strength: float
    crop_area: tuple[float, float]
    flip_prob: float
    interpolation: str
    ops: tuple[Op, ...] | None
    one_branch: bool
    eval_size_px: int | None
    eval_crop_fraction: float
    width: float
    stages: int
    stem: str
    zero_init: bool
    head: str
    head_layers: int
    z_dim: int
    loss: str
    temperature: float
    margin: float
    semi_hard: bool
    normalize: bool
    loss_factor: float
    base_lr: float
    lr_scaling: str
    momentum: float
    weight_decay: float
    trust_coefficient: float
    warmup_fraction: float
    batch_size: int
    epochs: float | None
    minutes: float | None
    chunk: int | None
    seed: int
    device: str
    precision: str
    compile: bool
    deterministic: bool
    memory: str | None
    resident: bool | None
    checkpoint_minutes: float
    monitor_share: float


class Settings(PlainSettings, total=False):
    """Every setting of the recipe."""

    encoder: str
    optimizer: str
