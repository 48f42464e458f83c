"""The sample images as a folder."""

from pathlib import Path

from twofold.console import obeys_verbose, say
from twofold.data.sample import write_sample
from twofold.recipes.kinds import AnyPath, as_kind, as_path


@obeys_verbose
def sample(folder: AnyPath, *, verbose: bool = True) -> Path:
    """Write the sample images, 14,000 photographs of clothes (Fashion-MNIST), to `folder` as PNG files; return it.

    Raises TwofoldError where the folder holds something else.
    """
    folder, verbose = as_path("folder", folder), as_kind("verbose", verbose, bool)
    path = Path(write_sample(folder))
    say(f"Sample images in {path}")
    return path
