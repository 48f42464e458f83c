"""Any folder of pictures: picks view size, stem, encoder and batch from what it finds, and prints why.

Command:   twofold pretrain FOLDER --out runs/photos
Hardware:  anything; without a GPU the views are at most 64 px
Time:      20 minutes without a GPU, 200 epochs with one (not run here on a GPU)
Result:    depends on the pictures: `twofold evaluate` tells, where some of them have labels
"""

from twofold.recipe import (
    DataRecipe,
    EncoderRecipe,
    HeadRecipe,
    LossRecipe,
    OptimRecipe,
    Recipe,
    ScheduleRecipe,
    ViewsRecipe,
)


def build(*, pictures: int, short_side_px: int, channels: int, accelerated: bool) -> tuple[Recipe, list[str]]:
    """The recipe for `pictures` of a median short side, and a sentence for each choice."""
    size_px, why_size = _size(short_side_px, accelerated)
    encoder, why_encoder = _encoder(size_px, accelerated)
    batch_size, why_batch = _batch_size(pictures, accelerated)
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
    why_channels = f"--channels {channels}: " + (
        "every picture looked at is grey" if channels == 1 else "colour pictures"
    )
    why_policy = f"--policy {views.policy}: " + ("blur would erase so small a view" if small else "views bear a blur")
    return recipe, [why_size, why_channels, why_policy, why_encoder, why_batch]


def _size(short_side_px: int, accelerated: bool) -> tuple[int, str]:
    limit = 224 if accelerated else 64
    size_px = next((s for s in (224, 128, 96, 64, 48, 32) if s <= min(short_side_px, limit)), 32)
    why = "the largest that a processor trains in minutes" if short_side_px > limit == 64 else "no larger than these"
    return size_px, f"--size-px {size_px}: the pictures' short side is {short_side_px} px in the middle; {why}"


def _encoder(size_px: int, accelerated: bool) -> tuple[EncoderRecipe, str]:
    name = ("resnet50" if size_px >= 128 else "resnet18") if accelerated else "resnet10"
    if size_px >= 96:
        stem, why = "imagenet", "large views can be shrunk fourfold at once"
    elif accelerated:
        stem, why = "small", "small views must not be shrunk at once"
    else:
        stem, why = "strided", "halving a small view at once buys four times the pictures a second"
    machine = "a GPU" if accelerated else "no GPU"
    return (
        EncoderRecipe(encoder=name, width=1.0 if accelerated else 0.5, stem=stem),
        f"--encoder {name} --stem {stem}: {machine}; {why}",
    )


def _batch_size(pictures: int, accelerated: bool) -> tuple[int, str]:
    largest = 512 if accelerated else 256
    batch_size = largest
    while batch_size > 2 and batch_size * 4 > pictures:
        batch_size //= 2
    why = "a quarter of the pictures at most" if batch_size < largest else "enough negatives, and quick"
    return batch_size, f"--batch-size {batch_size}: {pictures:,} pictures; {why}"
