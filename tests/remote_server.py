"""A server on this machine: files on the web, with and without ranges, and a bucket as S3, Google and Azure do."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

_ACCOUNT = "/devstoreaccount1"  # that Azure's emulator has
_OF_A_SERVICE = ("client_email", "private_key", "private_key_id")


class Server(ThreadingHTTPServer):
    """Holds files by path; what is below /bucket can be listed as a bucket."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []  # path with its query, and the range
        self.knows_ranges = self.tells_state = self.tells_length = True
        self.login: str | None = None  # user:password that is needed
        self.signature: str | None = None  # the query that is needed
        self.statuses: dict[str, int] = {}
        self.redirects: dict[str, str] = {}
        self.wait_s = 0.0
        self.web = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that has gone is no error."""


class _Answers(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, parts = self.server, urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        server.asked.append((self.path, self.headers.get("Range")))
        time.sleep(server.wait_s)
        if "list-type" in query:
            return self._list(query.get("prefix", [""])[0])
        path = path.removeprefix(_ACCOUNT)
        if query.get("comp") == ["list"]:
            return self._list_blobs(query.get("prefix", [""])[0])
        if path in server.redirects:
            return self._answer(302, b"", Location=server.redirects[path])
        if path in server.statuses:
            return self._answer(server.statuses[path], b"")
        if server.login and self.headers.get("Authorization") != _basic(server.login):
            return self._answer(401, b"")
        if server.signature and parts.query != server.signature:
            return self._answer(403, b"")
        if path not in server.files:
            return self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        content, asked = server.files[path], self.headers.get("Range")
        if not asked or not server.knows_ranges:
            return self._answer(200, content)
        first, last = asked.removeprefix("bytes=").split("-")
        part = content[int(first) : int(last) + 1]
        if not part:
            return self._answer(416, b"")
        return self._answer(
            206, part, **{"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"}
        )

    def _list(self, prefix: str) -> None:
        held = "".join(
            f"<Contents><Key>{path.removeprefix('/bucket/')}</Key><Size>{len(content)}</Size>"
            f"<ETag>{hash(content)}</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for path, content in self.server.files.items()
            if path.startswith("/bucket/" + prefix)
        )
        self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{held}</ListBucketResult>".encode())

    def _list_blobs(self, prefix: str) -> None:
        held = "".join(
            f"<Blob><Name>{path.removeprefix('/bucket/')}</Name><Properties><Etag>{hash(content)}</Etag>"
            f"<Content-Length>{len(content)}</Content-Length><Content-Type>image/png</Content-Type>"
            "<Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified></Properties></Blob>"
            for path, content in self.server.files.items()
            if path.startswith("/bucket/" + prefix)
        )
        self._answer(200, f"<EnumerationResults><Blobs>{held}</Blobs></EnumerationResults>".encode())

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        if self.server.tells_length:
            self.send_header("Content-Length", str(len(content)))
        if self.server.tells_state:
            self.send_header("ETag", f'"{hash(self.server.files.get(unquote(urlsplit(self.path).path)))}"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


@contextmanager
def serving() -> Iterator[Server]:
    """A server that answers until the end."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def as_bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make s3://, gs:// and az:// lead to the server."""
    service = {"gcs_base_url": server.web, "disable_oauth": True} | dict.fromkeys(_OF_A_SERVICE, "")
    for name, value in {
        "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(service),
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURITE_BLOB_STORAGE_URL": server.web,
        "AWS_ENDPOINT_URL": server.web,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
