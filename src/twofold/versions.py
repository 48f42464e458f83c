"""What software a result was made with."""

import platform
from importlib import metadata

import twofold


def versions() -> dict[str, str]:
    """Versions of Twofold, Python and the libraries that touch the numbers."""
    names = ("torch", "torchvision", "numpy", "Pillow", "scikit-learn")
    return {
        "twofold": twofold.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }
