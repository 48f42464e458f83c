"""What can be read at any place, as a file."""

import io
from collections.abc import Callable
from typing import Any


class ReadAt(io.RawIOBase):
    """A file that is open for reading, made of a function that reads up to so many bytes from a place on."""

    mode, name = "rb", ""

    def __init__(
        self,
        read_at: Callable[[int, int], bytes],
        size: int | None = None,
        *,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        """`size` in bytes, where it is known; `end` is called when it is closed."""
        super().__init__()
        self._read_at, self._size, self._end, self._at = read_at, size, end, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Raises UnsupportedOperation from the end, where that is not known."""
        if whence == io.SEEK_END and self._size is None:
            raise io.UnsupportedOperation("the end of the content is not known before it is read")
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size or 0}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer) if self._size is None else max(0, min(len(buffer), self._size - self._at))
        content = self._read_at(self._at, wanted)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._end()
        super().close()
