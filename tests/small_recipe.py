"""A whole run in a moment: the smallest encoder on the smallest views."""

from twofold.recipes.recipe import Recipe

SMALL = Recipe().with_settings(
    size_px=16,
    policy="small",
    encoder="resnet10",
    stages=1,
    width=0.25,
    stem="strided",
    batch_size=16,
    epochs=1.0,
    precision="fp32",
    device="cpu",
)
