"""What a worker writes to stderr: shown as it comes, but for the last words of one that fails."""

import re
import sys
import threading
import time
from typing import IO

OWN_WORDS = b"twofold: "  # how an expected failure begins
_LAST_WORDS = (OWN_WORDS, b"Traceback (most recent call last)")
_HOLD_S = 10.0
# what those say that only lost another one
_FOLLOWS = re.compile(rb"process \d+ (has ended|failed)|onnection (reset|closed|refused) by peer|Broken pipe")
_output = threading.Lock()


class Voice:
    """Reads a worker's stderr in a thread.

    Warnings appear while the worker runs. An error is held back: where all fail of one cause, one is to be shown. If
    the worker goes on all the same, the text appears after ten seconds.
    """

    def __init__(self, pipe: IO[bytes], prefix: str) -> None:
        self._pipe, self._prefix = pipe, prefix.encode()
        self._held: list[bytes] = []
        self._held_since, self._lock = 0.0, threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with self._pipe:
            for line in self._pipe:
                self._take(line)

    def _take(self, line: bytes) -> None:
        with self._lock:
            if not self._held and not line.startswith(_LAST_WORDS):
                show(self._prefix + line)
                return
            self._held_since = self._held_since if self._held else time.monotonic()
            self._held.append(line)

    @property
    def holds(self) -> bool:
        """Whether there is an error that has not been shown."""
        return bool(self._held)

    def release(self, after_s: float = _HOLD_S) -> None:
        """Show what was held back for longer than `after_s`."""
        with self._lock:
            if self._held and time.monotonic() - self._held_since >= after_s:
                show(b"".join(self._prefix + line for line in self._held))
                self._held = []

    def last_words(self) -> bytes:
        """What is held back of a worker that has ended."""
        self._thread.join(timeout=1.0)  # longer only where a child of the worker lives on
        with self._lock:
            return b"".join(self._held)


def says_why(text: bytes) -> int:
    """How well an error says what went wrong: 2 in our own words, 1 a traceback, 0 only that another one ended."""
    if not text or _FOLLOWS.search(text):
        return 0
    return 2 if text.startswith(OWN_WORDS) else 1


def show(text: bytes) -> None:
    """Write whole lines to stderr, byte for byte."""
    with _output:
        sys.stderr.flush()
        sys.stderr.buffer.write(text)
        sys.stderr.buffer.flush()
