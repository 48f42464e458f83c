"""Files copied into a folder by a thread, while training goes on.

The folder may be a mounted bucket: slow, without rename, replacement and locks. A file is written under its own name,
so a copy that was cut off is one more damaged file: names of checkpoints hold the checksum of what is in them.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path


class BackgroundCopy:
    """Copies into `folder`, one file at a time; of those that wait, the newest alone.

    `error` is what went wrong with the last copy that ended, or None.
    """

    def __init__(self, folder: Path) -> None:
        self.error: OSError | None = None
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="twofold-copy")
        self._next: Future[None] | None = None

    def put(self, path: Path, then: Callable[[], object]) -> None:
        """Copy the file `path` soon, and do something when it is there."""
        if self._next is not None:
            self._next.cancel()  # nothing where it has begun
        self._next = self._thread.submit(self._copy, path, then)

    def finish(self) -> None:
        """Wait until the last one is there, or cannot be."""
        if self._next is not None:
            self._next.result()
        self._thread.shutdown()

    def _copy(self, path: Path, then: Callable[[], object]) -> None:
        target = self._folder / path.name
        try:
            content = path.read_bytes()
            self._folder.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)  # a part of it, from before
            with target.open("xb") as file:
                file.write(content)
        except OSError as error:
            error.filename = str(target)
            self.error = error
            return
        self.error = None
        with suppress(OSError):  # some buckets remove nothing
            then()
