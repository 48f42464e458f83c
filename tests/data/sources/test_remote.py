"""Images in a bucket, from a server that speaks as S3, Google and Azure do: folders, archives, tables, parquet."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data.sources.test_archives import FILES, contents, labels, png, write_tar, write_zip
from remote_server import Server, as_bucket, serving
from twofold.data import Source, load_images, open_source
from twofold.data.sources import archive_index
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    pytest.importorskip("obstore")
    with serving() as server:
        as_bucket(server, monkeypatch)
        server.files = {f"/bucket/photos/{name}": content for name, content in FILES.items()}
        server.files |= {"/bucket/photos/notes.md": b"mine", "/bucket/other/9.png": png(9)}
        yield server


def opened(address: str, tmp_path: Path, **how: bool) -> Source:
    return open_source(address, cache=tmp_path / "cache", **how)  # type: ignore[arg-type]


def put(server: Server, path: Path, name: str) -> None:
    server.files[f"/bucket/{name}"] = path.read_bytes()


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_bucket_is_read_as_the_folder_that_it_holds(server: Server, tmp_path: Path, scheme: str) -> None:
    source = opened(f"{scheme}://bucket/photos", tmp_path)
    assert contents(source) == FILES
    assert labels(source) == {path: path.partition("/")[0] for path in FILES}
    assert [finding.text for finding in source.findings] == ["other files: 1 x .md"]
    images = load_images(f"{scheme}://bucket/photos", recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
    whole = np.asarray(Image.open(io.BytesIO(FILES["cat/1.png"])))
    assert np.array_equal(images.read(np.array([1])).images[0].permute(1, 2, 0).numpy(), whole)


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_archives_in_other_buckets_are_read_by_ranges(server: Server, tmp_path: Path, scheme: str) -> None:
    put(server, write_zip(tmp_path / "all.zip", FILES), "all.zip")
    assert contents(opened(f"{scheme}://bucket/all.zip", tmp_path)) == FILES
    assert all(found for path, found in server.asked if path.split("?")[0].endswith("zip"))


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_names_that_an_address_would_spell_otherwise_are_read_too(server: Server, tmp_path: Path, scheme: str) -> None:
    server.files = {f"/bucket/odd/{name}.png": png(n) for n, name in enumerate(("a b", "c?d", "e#f", "g%20h", "i+j"))}
    expected = {path.removeprefix("/bucket/odd/"): content for path, content in server.files.items()}
    assert contents(opened(f"{scheme}://bucket/odd", tmp_path)) == expected


def test_what_is_gone_is_set_aside(server: Server, tmp_path: Path) -> None:
    source = opened("s3://bucket/photos", tmp_path)
    del server.files["/bucket/photos/cat/0.png"]
    with pytest.raises(OSError, match=r"cannot be read from 's3://bucket/photos' \(nothing is there \(404\)\)"):
        source.read(0)


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz"])
def test_an_archive_in_a_bucket_is_read_in_place_and_its_index_is_kept(
    kind: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode = "w:gz" if kind.endswith("gz") else "w"
    path = write_zip(tmp_path / kind, FILES) if kind == "a.zip" else write_tar(tmp_path / kind, FILES, mode)
    put(server, path, kind)
    first = opened(f"s3://bucket/{kind}", tmp_path)
    assert contents(first) == FILES
    assert labels(first) == labels(opened(str(path), tmp_path))
    monkeypatch.setattr(archive_index, "_tar_members", None)  # a second walk would fail
    monkeypatch.setattr(archive_index, "_zip_members", None)
    server.asked.clear()
    again = opened(f"s3://bucket/{kind}", tmp_path)
    assert server.asked == [(f"/bucket/{kind}", "bytes=0-0")]
    assert again.stamp() == first.stamp()
    assert again.records == first.records
    monkeypatch.undo()
    as_bucket(server, monkeypatch)
    more = FILES | {"cat/new.png": png(99)}
    put(server, write_zip(path, more) if kind == "a.zip" else write_tar(path, more, mode), kind)
    assert contents(opened(f"s3://bucket/{kind}", tmp_path)) == more


def test_an_image_of_an_archive_is_one_request_of_its_own_bytes(server: Server, tmp_path: Path) -> None:
    files = FILES | {"cat/large.png": bytes(10**6)}
    for kind, write in (("a.zip", write_zip), ("a.tar", write_tar)):
        put(server, write(tmp_path / kind, files), kind)
        source = opened(f"s3://bucket/{kind}", tmp_path)
        server.asked.clear()
        assert source.read(1) == FILES["cat/1.png"]
        ((_, asked),) = server.asked
        first, last = (asked or "").removeprefix("bytes=").split("-")
        assert int(last) - int(first) < len(FILES["cat/1.png"]) + 300


@pytest.mark.parametrize("data", ["s3://bucket/wds", "s3://bucket/wds/train-{0000..0001}.tar", "s3://bucket/wds/*.tar"])
def test_shards_of_webdataset_are_one_folder_with_labels(data: str, server: Server, tmp_path: Path) -> None:
    names = sorted(FILES)
    for shard in range(2):
        files = {f"{n:03d}.png": FILES[name] for n, name in enumerate(names) if n % 2 == shard}
        files |= {f"{n:03d}.cls": name.partition("/")[0].encode() for n, name in enumerate(names) if n % 2 == shard}
        put(server, write_tar(tmp_path / "shard.tar", files), f"wds/train-{shard:04d}.tar")
    source = opened(data, tmp_path)
    told = {f"train-{n % 2:04d}.tar/{n:03d}.png": name for n, name in enumerate(names)}
    assert labels(source) == {path: name.partition("/")[0] for path, name in told.items()}
    assert contents(source) == {path: FILES[name] for path, name in told.items()}
    assert "TF047" in {finding.code for finding in source.findings}


@pytest.mark.parametrize("data", ["s3://bucket/p", "s3://bucket/p/part-{0..1}.parquet", "s3://bucket/p/part-*.parquet"])
def test_parquet_in_a_bucket_is_that_on_the_disk(data: str, server: Server, tmp_path: Path) -> None:
    for part in range(2):
        rows = [{"image": content, "label": path[:3]} for path, content in list(FILES.items())[part::2]]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"part-{part}.parquet", row_group_size=2)
        put(server, tmp_path / f"part-{part}.parquet", f"p/part-{part}.parquet")
    source, local = opened(data, tmp_path), opened(str(tmp_path / "part-*.parquet"), tmp_path)
    assert contents(source) == contents(local)
    assert labels(source) == labels(local)


def test_a_table_in_a_bucket_names_what_lies_below_its_folder(server: Server, tmp_path: Path) -> None:
    server.files["/bucket/photos/all.csv"] = b"path,label\ncat/1.png,c\nhorse/2.png,h\ns3://bucket/photos/cat/0.png,c\n"
    source = opened("s3://bucket/photos/all.csv", tmp_path)
    assert list(labels(source).values()) == ["c", "h", "c"]
    assert list(contents(source).values()) == [FILES["cat/1.png"], FILES["horse/2.png"], FILES["cat/0.png"]]
    for cell, where in (("../other/9.png", "below its own folder"), ("s3://bucket/other/9.png", "--allow-outside")):
        server.files["/bucket/photos/all.csv"] = f"path\ncat/1.png\n{cell}\n".encode()
        with pytest.raises(TwofoldError, match=rf"line 3 of 's3://bucket/photos/all.csv' .*{where}"):
            opened("s3://bucket/photos/all.csv", tmp_path)
    assert contents(opened("s3://bucket/photos/all.csv", tmp_path, allow_outside=True))[cell] == png(9)


def test_a_list_on_the_disk_opens_a_bucket_only_where_that_is_allowed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("s3://bucket/photos/cat\ns3://bucket/other/9.png\n")
    with pytest.raises(TwofoldError, match=r"line 1 of '.*list.txt' names 's3://bucket/photos/cat' in a bucket"):
        opened(str(tmp_path / "list.txt"), tmp_path)
    source = opened(str(tmp_path / "list.txt"), tmp_path, allow_outside=True)
    expected = {name: content for name, content in FILES.items() if name.startswith("cat/")}
    assert contents(source) == expected | {"9.png": png(9)}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://bucket/none", r"'s3://bucket/none' holds no readable image \(nothing\)"),
        ("s3://", r"'s3:' cannot be opened \(it names no bucket"),
        ("s3://bucket/none.tar", r"'s3://bucket/none.tar' cannot be opened \(.*\(404\).* Check the address"),
        ("s3://bucket/none-*.tar", "the pattern 's3://bucket/none-\\*.tar' names nothing"),
        ("s3://bucket/*/a.tar", "only the last name may"),
        ("s3://key:secret@bucket/photos", "'s3://bucket/photos' cannot be opened .*in the environment"),
        ("s3://bucket/a.tar?X-Amz-Signature=secret", "'s3://bucket/a.tar' cannot be opened .*in the environment"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_error(address: str, message: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match=message) as error:
        opened(address, tmp_path)
    assert "secret" not in str(error.value)


def test_keys_that_a_server_refuses_are_one_error(server: Server, tmp_path: Path) -> None:
    server.statuses["/bucket/a.zip"] = 403
    with pytest.raises(TwofoldError, match=r"'s3://bucket/a.zip' .*access is refused.* keys and region in the environ"):
        opened("s3://bucket/a.zip", tmp_path)


def test_without_the_extra_one_line_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(TwofoldError, match=r"pip install 'twofold\[remote\]'"):
        open_source("s3://bucket/photos")
