"""What software a result was made with."""

import functools
import platform
from importlib import metadata

import twofold


def versions() -> dict[str, str]:
    """Versions of Twofold, Python and the libraries that touch the numbers."""
    names = ("torch", "torchvision", "numpy", "Pillow", "scikit-learn")
    return {
        "twofold": twofold.__version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in names},
    }


@functools.cache
def _version(name: str) -> str:
    return metadata.version(name)
