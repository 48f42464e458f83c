"""The recipe's leaves as keyword arguments of Python, with their types: what an editor completes.

Written by tools/make_settings.py. What each means is the help of its flag (docs/cli.md).
"""

from collections.abc import Sequence
from typing import Literal, TypedDict


class PlainSettings(TypedDict, total=False):
    """Every setting but those that may be given as an object too."""

    channels: int
    bands: tuple[int, ...] | None
    pages: str
    store_px: int | None
    max_unreadable_fraction: float
    test_fraction: float
    selection_fraction: float
    data_seed: int
    path_column: str | None
    label_column: str | None
    split_column: str | None
    group_column: str | None
    group_by: str | None
    tile: int | None
    stride: int | None
    micrometres_per_px: float | None
    tile_content: float
    range: tuple[float, ...] | None
    range_from: str
    held_out_fraction: float | None
    decode: str
    truncated: str
    size_px: int
    policy: str
    colour: str
    strength: float
    crop_area: tuple[float, float]
    flip_prob: float
    interpolation: str
    vertical_flip_prob: float
    rotate_degrees: float
    grayscale_prob: float
    jitter: tuple[float, float, float, float] | None
    blur_prob: float | None
    ops: Sequence[object] | None
    one_branch: bool
    eval_size_px: int | None
    eval_crop_fraction: float
    width: float
    stages: int
    stem: str
    zero_init: bool
    init: object
    init_strict: bool
    init_rate: float
    init_normalization: str
    freeze_until: str | None
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
    chunk: int | Literal["auto"] | None
    seed: int
    duplicates: str
    device: str
    precision: str
    compile: bool
    deterministic: bool
    resident: bool | None
    memory: str | None
    checkpoint_minutes: float
    monitor_share: float


class Settings(PlainSettings, total=False):
    """Every setting of the recipe."""

    encoder: str
    optimizer: str
