"""Files in buckets and on web servers, by obstore, which is an extra: read by ranges, or whole where these lack."""

import base64
import io
import re
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from pathlib import PurePosixPath
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import unquote

from twofold.data.sources.addresses import in_bucket, parts_of, place_of, shown_address, without_keys
from twofold.data.sources.reach import AddressReach
from twofold.data.sources.read_at import ReadAt
from twofold.errors import TwofoldError, import_extra

T = TypeVar("T")
TIMEOUT = "60s"  # of one request
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
_STORES = 64  # kept open at once
_MOST_WHOLE = 2**28  # bytes of a file that is read as a whole, where its server knows no ranges
_BLOCK = 2**22  # bytes of a request, where a file is read from one end to the other
_PLAIN = re.compile(r"(/([\w.~-]|%20)+)+", re.ASCII)  # a path that is spelt in one way only
_DOTS = re.compile(r"/\.{1,2}(/|$)")
_REASONS = (  # what the error says, what it means, and what to do
    ("status code: 404", "nothing is there (404)", "Check the address."),
    ("status code: 40[13]", "access is refused", "{keys}"),
    ("status code: 416", "the file is empty", "Give another."),
    ("MissingContentLength", "its server does not say how long the file is", "Download it and give the copy."),
    ("kind: Timeout", "no answer within {timeout}", "Try again later, or download it and give the copy."),
    ("dns error", "no server has this name", "Check the address."),
    ("kind: Connect", "its server takes no connection", "Check the address, and whether the server runs."),
    ("kind: Redirect", "it leads from address to address without end", "Give the address that it should lead to."),
    ("IncompleteBody|kind: Body", "the connection broke off", "Try again."),
)


class RemoteError(OSError):
    """What is at an address cannot be read: the address without keys, the `reason`, and in `fix` what to do."""

    def __init__(self, address: str, reason: str, fix: str) -> None:
        super().__init__(f"it cannot be read from '{shown_address(address)}' ({reason})")
        self.reason, self.fix = reason, fix


class Remote:
    """Connections to buckets and servers. Keys of buckets come from the environment; safe from several threads."""

    def __init__(self, wanted_by: str) -> None:
        """Raises TwofoldError, which begins with `wanted_by`, without the extra."""
        self._obstore = import_extra("obstore", wanted_by, "remote")
        self._from = import_extra("obstore.store", wanted_by, "remote")
        self._failure = import_extra("obstore.exceptions", wanted_by, "remote")
        self._stores: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()

    def read(self, address: str, below: str | None = None) -> bytes:
        """What is at an address, or at the path `below` it in a bucket. Raises RemoteError."""
        return self._tried(address, lambda store, key: bytes(self._obstore.get(store, key).bytes()), below=below)

    def read_range(self, address: str, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`. Raises RemoteError."""
        return self._tried(address, lambda store, key: bytes(self._obstore.get_range(store, key, start=start, end=end)))

    def look(self, address: str) -> tuple[Any, bytes | None]:
        """Size, tag and time of what is at an address; and all of it, where its server gives no parts of files.

        Raises RemoteError, also where that is more than 256 MiB.
        """
        try:
            about = self._tried(address, lambda *at: self._obstore.get(*at, options={"range": (0, 1)}).meta)
        except _NoRangesError:
            return self._tried(address, lambda *at: self._whole(address, self._obstore.get(*at)))
        return about, None

    def listing(self, address: str) -> list[Any]:
        """Path below the address, size, tag and time of each object in a bucket. Raises RemoteError."""

        def listed(store: Any, _: str) -> list[Any]:
            return [one for batch in self._obstore.list(store) for one in batch]

        return self._tried(address, listed, below="")

    def _whole(self, address: str, answer: Any) -> tuple[Any, bytes]:
        if answer.meta["size"] > _MOST_WHOLE:
            reason = f"its server gives no parts of files, and this one has {answer.meta['size']:,} bytes"
            raise RemoteError(address, reason, "Download it and give the copy.")
        return answer.meta, bytes(answer.bytes())

    def _tried(self, address: str, work: Callable[[Any, str], T], *, below: str | None = None) -> T:
        try:
            return work(*self._located(address, below=below))
        except RemoteError:
            raise
        except self._failure.NotSupportedError as error:
            raise _NoRangesError(address, "its server gives no parts of files", "Download it.") from error
        except (self._failure.BaseError, OSError, ValueError) as error:
            raise RemoteError(address, *_told(address, str(error))) from error

    def _located(self, address: str, *, below: str | None) -> tuple[Any, str]:
        """A store and the path in it; with a path `below`, or where one has several spellings, a store of its own."""
        parts = parts_of(address)
        if not parts.get("host"):
            raise RemoteError(address, "it names no bucket or server", "Give a whole address.")
        root, path = f"{parts['scheme'].lower()}://{parts['host']}", parts["path"]
        if in_bucket(address):
            if parts["user"] or parts["rest"].startswith("?"):
                raise RemoteError(
                    address,
                    "an address in a bucket has no user, password or query",
                    "Give keys in the environment, and the address without them.",
                )
            path += parts["rest"]
            return (self._store(root, ""), path.lstrip("/")) if below is None else (self._store(address, ""), below)
        if parts["rest"] or not _PLAIN.fullmatch(path) or _DOTS.search(path):
            return self._store(root + path + parts["rest"].partition("#")[0], parts["user"]), ""
        return self._store(root, parts["user"]), unquote(path).lstrip("/")

    def _store(self, root: str, user: str) -> Any:
        key = f"{user}@{root}"
        with self._lock:
            if key not in self._stores:
                self._stores[key] = self._opened(root, user)
            self._stores.move_to_end(key)
            if len(self._stores) > _STORES:
                self._stores.popitem(last=False)
            return self._stores[key]

    def _opened(self, root: str, user: str) -> Any:
        if in_bucket(root):
            return self._from.from_url(root, retry_config=_RETRIES)
        options: dict[str, Any] = {"allow_http": True, "timeout": TIMEOUT}
        if user:
            login = base64.b64encode(unquote(user).encode()).decode()
            options["default_headers"] = {"authorization": f"Basic {login}"}
        return self._from.HTTPStore.from_url(root, client_options=options, retry_config=_RETRIES)


class _NoRangesError(RemoteError):
    """A server answered with the whole of a file where a part was asked for."""


class RemoteFile:
    """A file at an address, as it was when this was made. Reading raises RemoteError."""

    def __init__(self, remote: Remote, address: str) -> None:
        """Raises RemoteError where nothing can be read there."""
        self._remote, self._address = remote, address
        self.name, self.place = shown_address(address), place_of(address)
        self.path = PurePosixPath(self.name.partition("://")[2])
        about, self._whole = remote.look(address)
        self.size: int = about["size"]
        self.stamp: list[object] = [about["e_tag"], self.size, str(about["last_modified"])]
        self.is_dated = bool(about["e_tag"]) or about["last_modified"].year > 1970
        self.is_whole = self._whole is not None

    def open(self) -> io.BufferedReader:
        """The file, open for reading."""
        return io.BufferedReader(self.for_arrow(), _BLOCK)

    def read_at(self, start: int, size: int) -> bytes:
        """Up to `size` bytes from `start` on; fewer at the end."""
        end = min(self.size, start + size)
        if end <= start:
            return b""
        if self._whole is not None:
            return self._whole[start:end]
        return self._remote.read_range(self._address, start, end)

    def read(self) -> bytes:
        """The whole content."""
        return self._remote.read(self._address) if self._whole is None else self._whole

    def for_arrow(self) -> ReadAt:
        """The file, each reading of which is one request."""
        return ReadAt(self.read_at, self.size)

    def reach(self, *, allow_outside: bool) -> AddressReach:
        """The addresses that it may name, as a table."""
        return AddressReach(self._address, allow_outside=allow_outside)


def open_file(remote: Remote, address: str) -> RemoteFile:
    """A file at an address. Raises TwofoldError, which names the address, the reason and the fix."""
    try:
        return RemoteFile(remote, address)
    except RemoteError as error:
        raise cannot_open(address, error) from error


def cannot_open(address: str, error: RemoteError) -> TwofoldError:
    """What a person is told where data at an address cannot be opened."""
    return TwofoldError(f"'{shown_address(address)}' cannot be opened ({error.reason}). {error.fix}")


def _told(address: str, text: str) -> tuple[str, str]:
    """Why and what to do, of an error's text, without keys."""
    own = "Check keys and region in the environment." if in_bucket(address) else "Give an address that you may read."
    for pattern, reason, fix in _REASONS:
        if re.search(pattern, text):
            return reason.format(timeout=TIMEOUT), fix.format(keys=own)
    status = re.search(r"status code: (\d+[ \w]*)", text)
    if status:
        return f"its server answers {status[1].strip()}", "Try again later, or give another address."
    fix = "Check the address, and keys and region in the environment." if in_bucket(address) else "Check the address."
    return without_keys(text.split("\n")[0])[:200], fix
