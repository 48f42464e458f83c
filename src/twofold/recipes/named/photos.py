"""Any folder of images: picks view size, stem, encoder and batch from what it finds, and prints why.

Command:   twofold pretrain FOLDER --out runs/photos
Hardware:  a processor (views of at most 64 px) or a CUDA GPU (batch by its memory, estimated; not run here on one)
Time:      20 minutes on a processor, 200 epochs on a GPU
Result:    depends on the images: `twofold evaluate` tells, where some of them have labels
"""

from twofold.recipes.recipe import (
    DataRecipe,
    EncoderRecipe,
    HeadRecipe,
    LossRecipe,
    OptimRecipe,
    Recipe,
    ScheduleRecipe,
    ViewsRecipe,
)

_VIEW_MB = {  # (encoder, stem) -> memory of a view in a training step, at a size; estimated as in docs/scale.md, bf16
    ("resnet50", "imagenet"): (60.0, 224),
    ("resnet18", "imagenet"): (3.0, 96),
    ("resnet18", "small"): (14.0, 64),
}
_GPU_SHARE = 0.8  # of its memory; weights, optimizer and reserve take the rest


def build(*, pictures: int, short_side_px: int, channels: int, gpu_gib: float | None) -> tuple[Recipe, list[str]]:
    """The recipe for `images` of a median short side, and a sentence for each choice."""
    accelerated = gpu_gib is not None
    size_px, why_size = _size(short_side_px, accelerated)
    encoder, why_encoder = _encoder(size_px, accelerated)
    largest, why_largest = (256, "enough negatives, and quick") if gpu_gib is None else _fit(encoder, size_px, gpu_gib)
    batch_size, why_batch = _batch_size(pictures, largest, why_largest)
    small = size_px <= 48
    views = ViewsRecipe(
        size_px=size_px,
        policy="small" if small else "simclr",
        strength=0.5,
        crop_area=(0.2, 1.0),
        eval_crop_fraction=1.0,
    )
    recipe = Recipe(
        name="photos",
        data=DataRecipe(channels=channels),
        views=views,
        encoder=encoder,
        head=HeadRecipe(head="nonlinear", head_layers=2, z_dim=128),
        loss=LossRecipe(temperature=0.2),
        optim=OptimRecipe(optimizer="sgd", base_lr=0.2, lr_scaling="linear", weight_decay=1e-5, warmup_fraction=0.05),
        schedule=ScheduleRecipe(
            batch_size=batch_size, epochs=200.0 if accelerated else None, minutes=None if accelerated else 20.0
        ),
    )
    why_channels = f"--channels {channels}: " + ("every image looked at is grey" if channels == 1 else "colour images")
    why_policy = f"--policy {views.policy}: " + ("blur would erase so small a view" if small else "views bear a blur")
    return recipe, [why_size, why_channels, why_policy, why_encoder, why_batch]


def _size(short_side_px: int, accelerated: bool) -> tuple[int, str]:
    limit = 224 if accelerated else 64
    size_px = next((s for s in (224, 128, 96, 64, 48, 32) if s <= min(short_side_px, limit)), 32)
    why = "the largest that a processor trains in minutes" if short_side_px > limit == 64 else "no larger than these"
    return size_px, f"--size-px {size_px}: the images' short side is {short_side_px} px in the middle; {why}"


def _encoder(size_px: int, accelerated: bool) -> tuple[EncoderRecipe, str]:
    name = ("resnet50" if size_px >= 128 else "resnet18") if accelerated else "resnet10"
    if size_px >= 96:
        stem, why = "imagenet", "large views can be shrunk fourfold at once"
    elif accelerated:
        stem, why = "small", "small views must not be shrunk at once"
    else:
        stem, why = "strided", "halving a small view at once buys four times the images a second"
    machine = "a GPU" if accelerated else "no CUDA GPU"
    return (
        EncoderRecipe(encoder=name, width=1.0 if accelerated else 0.5, stem=stem),
        f"--encoder {name} --stem {stem}: {machine}; {why}",
    )


def _fit(encoder: EncoderRecipe, size_px: int, gpu_gib: float) -> tuple[int, str]:
    """The largest power of two up to 512 whose views fit into the GPU by estimate."""
    at_size, reference_px = _VIEW_MB[encoder.encoder, encoder.stem]
    view_mb = at_size * (size_px / reference_px) ** 2
    batch_size = 512
    while batch_size > 32 and 2 * batch_size * view_mb * 1e6 > _GPU_SHARE * gpu_gib * 2**30:
        batch_size //= 2
    why = "enough negatives" if batch_size == 512 else "what should fit; --chunk or --memory allow more"
    return batch_size, f"{why} ({gpu_gib:.0f} GiB on the GPU, about {view_mb:.0f} MB a view)"


def _batch_size(pictures: int, largest: int, why_largest: str) -> tuple[int, str]:
    batch_size = largest
    while batch_size > 2 and batch_size * 4 > pictures:
        batch_size //= 2
    why = "a quarter of the images at most" if batch_size < largest else why_largest
    return batch_size, f"--batch-size {batch_size}: {pictures:,} images; {why}"
