"""Arrays that take long to make, kept in the cache under a key that names their content."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from twofold.data.cache import building_folder, cache_errors, clean, publish, set_aside

Arrays = dict[str, np.ndarray]


def kept_arrays(cache: Path, key: str, names: tuple[str, ...], make: Callable[[Path], None]) -> Arrays:
    """The arrays NAME.npy in CACHE/curation/KEY, mapped into memory; `make(folder)` writes them where they are missing.

    Whole or not there, whatever is killed; a damaged folder is made anew. Writing to an array changes no file.
    Raises TwofoldError where the cache cannot be written or read.
    """
    home = cache / "curation"
    final = home / key
    with cache_errors(cache):
        if (arrays := _read(final, names)) is not None:
            return arrays
        home.mkdir(parents=True, exist_ok=True)
        clean(home)
        with building_folder(home) as building:
            set_aside(final, building.parent, lambda folder: _read(folder, names) is None)
            make(building)
            publish(building, final)
        arrays = _read(final, names)
    assert arrays is not None, f"{make} did not write {names}"
    return arrays


def _read(folder: Path, names: tuple[str, ...]) -> Arrays | None:
    try:
        return {name: np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in names}
    except (FileNotFoundError, ValueError, EOFError):
        return None
