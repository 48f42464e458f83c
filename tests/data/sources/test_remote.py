"""Images in a bucket, from a small server that speaks as S3 does."""

import io
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from twofold.data import load_images, open_source
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)).save(file, "png")
    return file.getvalue()


OBJECTS = {f"photos/{kind}/{n}.png": png(10 * n + len(kind)) for kind in ("cat", "horse") for n in range(3)}
OBJECTS |= {"photos/notes.txt": b"mine", "other/9.png": png(9)}


class Bucket(BaseHTTPRequestHandler):
    """GET of an object, and of the list of those below a prefix; the bucket is the first part of the path."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        key = unquote(parts.path).removeprefix("/bucket").lstrip("/")
        if "list-type" in query:
            prefix = query.get("prefix", [""])[0]
            held = "".join(
                f"<Contents><Key>{name}</Key><Size>{len(content)}</Size><ETag>{hash(content)}</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for name, content in OBJECTS.items()
                if name.startswith(prefix)
            )
            self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{held}</ListBucketResult>".encode())
        elif key in OBJECTS:
            self._answer(200, OBJECTS[key])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hash(content)}"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("obstore")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield "s3://bucket/photos"
    server.shutdown()
    server.server_close()


def test_a_bucket_is_read_as_the_folder_that_it_holds(bucket: str, tmp_path: Path) -> None:
    source = open_source(bucket)
    expected = {name.removeprefix("photos/"): one for name, one in OBJECTS.items() if name.endswith(".png")}
    del expected["other/9.png"]
    assert {one.path: one.label for one in source.records} == {path: path.split("/")[0] for path in expected}
    assert {one.path: source.read(n) for n, one in enumerate(source.records)} == expected
    assert [finding.text for finding in source.findings] == ["other files: 1 x .txt"]
    images = load_images(bucket, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
    whole = np.asarray(Image.open(io.BytesIO(OBJECTS["photos/cat/1.png"])))
    assert np.array_equal(images.read(np.array([1])).images[0].permute(1, 2, 0).numpy(), whole)


def test_what_is_gone_is_set_aside(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(bucket)
    monkeypatch.delitem(OBJECTS, "photos/cat/0.png")
    with pytest.raises(OSError, match="cannot be read from 's3://bucket/photos'"):
        source.read(0)


def test_an_address_that_leads_nowhere_is_one_error(bucket: str) -> None:
    with pytest.raises(TwofoldError, match=r"'s3://bucket/none' holds no image that can be read \(nothing\)"):
        open_source("s3://bucket/none")
    with pytest.raises(TwofoldError, match=r"'s3://' cannot be listed"):
        open_source("s3://")


def test_without_the_extra_one_line_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(TwofoldError, match=r"pip install 'twofold\[remote\]'"):
        open_source("s3://bucket/photos")
