"""Where the images lie that a run trains on: on the device as a whole, or on the host."""

from twofold.console import say
from twofold.data import ImageSet
from twofold.data.resident import ResidentImages, place_images
from twofold.hardware.device import Hardware
from twofold.hardware.peak_memory import available_memory
from twofold.recipes.recipe import Recipe


def place_train(images: ImageSet, recipe: Recipe, hardware: Hardware) -> ResidentImages | None:
    """The images to train on, on the device, where they may lie there (the recipe's `resident`); says so."""
    free, most = available_memory(hardware.device), recipe.hardware.memory_bytes
    memory = free if free is None or most is None else min(free, most)
    asked = recipe.hardware.resident
    resident = place_images(images, images.rows("train"), hardware.device, memory=memory, asked=asked)
    if resident:
        say(f"  {len(resident):,} images lie on '{hardware.device}' ({resident.bytes / 2**20:,.0f} MiB)")
    return resident
