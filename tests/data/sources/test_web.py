"""Images on the web, from a small server: archives, parquet, tables and lists of addresses; what servers may refuse."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources.test_archives import FILES, contents, labels, png, write_tar, write_zip
from remote_server import Server, serving
from twofold.data import Source, load_images, open_source
from twofold.data.sources import remote, remote_file
from twofold.errors import TwofoldError
from twofold.programs import transfer
from twofold.recipes.recipe import DataRecipe

SECRETS = ("me", "hush", "deadbeef")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    pytest.importorskip("obstore")
    monkeypatch.setattr(remote_file, "_RETRIES", remote_file._RETRIES | {"max_retries": 0})
    with serving() as server:
        server.files = {f"/set/{name}": content for name, content in FILES.items()}
        yield server


def opened(address: str, tmp_path: Path, **how: bool) -> Source:
    return open_source(address, cache=tmp_path / "cache", **how)  # type: ignore[arg-type]


def put(server: Server, path: Path) -> str:
    server.files[f"/{path.name}"] = path.read_bytes()
    return f"{server.web}/{path.name}"


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz"])
def test_an_archive_on_the_web_is_read_in_place(kind: str, has_ranges: bool, server: Server, tmp_path: Path) -> None:
    mode = "w:gz" if kind.endswith("gz") else "w"
    path = write_zip(tmp_path / kind, FILES) if kind == "a.zip" else write_tar(tmp_path / kind, FILES, mode)
    server.knows_ranges = has_ranges
    source = opened(put(server, path), tmp_path)
    assert contents(source) == FILES
    assert labels(source) == labels(opened(str(path), tmp_path))
    said = [finding.text for finding in source.findings if finding.code == "TF051"]
    size = f"{path.stat().st_size:,}"
    whole = f"the server of '{server.web}/{kind}' gives no parts of files: all {size} bytes are held in memory"
    assert said == ([] if has_ranges else [whole])
    assert len([asked for _, asked in server.asked if asked is None]) == (0 if has_ranges else 1)  # fetched once


def test_a_large_file_of_a_server_without_ranges_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = put(server, write_zip(tmp_path / "a.zip", FILES))
    server.knows_ranges = False
    monkeypatch.setattr(remote_file, "_MOST_WHOLE", 100)
    with pytest.raises(
        TwofoldError, match=r"'http.*/a.zip' cannot be opened \(its server gives no parts .*Download it"
    ):
        opened(address, tmp_path)


def test_a_server_that_tells_neither_tag_nor_time_is_said(server: Server, tmp_path: Path) -> None:
    server.tells_state = False
    source = opened(put(server, write_zip(tmp_path / "a.zip", FILES)), tmp_path)
    (said,) = [finding.text for finding in source.findings if finding.code == "TF051"]
    assert said.endswith("tells no time: it counts as unchanged while its size is the same")


def test_shards_counted_in_braces_are_one_folder_with_labels(server: Server, tmp_path: Path) -> None:
    for shard in range(3):
        files = {f"{shard}{n}.png": png(10 * shard + n) for n in range(2)} | {f"{shard}0.cls": b"cat"}
        put(server, write_tar(tmp_path / f"train-{shard:04d}.tar", files))
    source = opened(f"{server.web}/train-{{0000..0002}}.tar", tmp_path)
    assert source.name == f"{server.web}/train-{{0000..0002}}.tar"
    expected = {
        f"train-{shard:04d}.tar/{shard}{n}.png": "cat" if n == 0 else None for shard in range(3) for n in range(2)
    }
    assert labels(source) == expected
    local = opened(f"{tmp_path}/train-{{0000..0002}}.tar", tmp_path)
    assert contents(source) == contents(local)
    assert labels(source) == labels(local)
    with pytest.raises(TwofoldError, match=r"'http.*/train-0003.tar' cannot be opened \(nothing is there \(404\)"):
        opened(f"{server.web}/train-{{0000..0003}}.tar", tmp_path)
    with pytest.raises(TwofoldError, match=r"4 files, of which 1 are not there, such as '.*train-0003.tar'"):
        opened(f"{tmp_path}/train-{{0000..0003}}.tar", tmp_path)


@pytest.mark.parametrize("where", ["on the disk", "on the web"])
@pytest.mark.parametrize("kind", ["list.txt", "list.csv", "list.jsonl", "list.parquet"])
def test_a_list_of_addresses_is_read(kind: str, where: str, server: Server, tmp_path: Path) -> None:
    urls = {f"{server.web}/set/{name}": name.partition("/")[0] for name in FILES}
    if kind == "list.parquet":
        pq.write_table(pa.table({"url": list(urls), "label": list(urls.values())}), tmp_path / kind)
    else:
        header = {"list.txt": "# some images", "list.csv": "url,label", "list.jsonl": ""}[kind]
        line = {"list.txt": "{0}", "list.csv": "{0},{1}", "list.jsonl": '{{"url": "{0}", "label": "{1}"}}'}[kind]
        text = "\n".join([header, *(line.format(*one) for one in urls.items())])
        (tmp_path / kind).write_text(text)
    source = opened(put(server, tmp_path / kind) if where == "on the web" else str(tmp_path / kind), tmp_path)
    names = [name if kind == "list.txt" else f"{server.web}/set/{name}" for name in FILES]
    assert labels(source) == dict(zip(names, urls.values(), strict=True))
    assert contents(source) == dict(zip(names, FILES.values(), strict=True))
    assert f"{len(FILES)} images at addresses are taken as unchanged" in "".join(one.text for one in source.findings)


def test_images_that_are_kept_are_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"{server.web}/set/{name}\n" for name in FILES))
    for _ in range(2):
        images = load_images(tmp_path / "list.txt", recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
        assert images.labels == [name.partition("/")[0] for name in FILES]
        server.files = {path: content for path, content in server.files.items() if path == "/set/cat/0.png"}


def test_an_image_that_is_not_there_is_set_aside_with_its_address(server: Server, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"{server.web}/set/{name}\n" for name in [*FILES, "cat/none.png"]))
    recipe = DataRecipe(max_unreadable_fraction=0.5)
    images = load_images(tmp_path / "list.txt", recipe=recipe, store_px=None, cache=tmp_path / "cache")
    assert [(one.path, "nothing is there (404)" in one.reason) for one in images.quarantine] == [("cat/none.png", True)]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.zip", r"nothing is there \(404\)\). Check the address"),
        ("login.zip", r"access is refused\). Give an address that you may read"),
        ("broken.zip", r"its server answers 500 Internal Server Error\)"),
        ("loop.zip", "leads from address to address without end"),
        ("empty.zip", "the file is empty"),
        ("text.zip", "the archive 'http.*/text.zip' cannot be read"),
        ("text.parquet", "'http.*/text.parquet' cannot be read as a parquet file"),
        ("set/", "a folder on the web cannot be listed. Give a list"),
        ("", "a folder on the web cannot be listed. Give a list"),
        ("set/*.zip", "what lies on the web cannot be listed. Count the files in braces"),
        ("a.tar.xz", "compressed in a way that can only be read from its beginning"),
        ("{0..1}.csv", "among several addresses only archives and images"),
        ("{3..1}.tar", "count from 3 to 1, but braces count up"),
        ("{0..999999}.tar", "make 1,000,000 names"),
    ],
)
def test_what_cannot_be_opened_is_one_error(path: str, message: str, server: Server, tmp_path: Path) -> None:
    server.statuses |= {"/login.zip": 401, "/broken.zip": 500}
    server.redirects["/loop.zip"] = "/loop.zip"
    server.files |= {"/empty.zip": b"", "/text.zip": b"no archive", "/text.parquet": b"no parquet"}
    with pytest.raises(TwofoldError, match=message) as error:
        opened(f"http://me:hush@127.0.0.1:{server.server_port}/{path}?X-Amz-Signature=deadbeef", tmp_path)
    assert "\n" not in str(error.value)
    assert not any(secret in str(error.value) for secret in SECRETS[1:])


def test_no_server_no_name_and_no_answer_are_one_error_each(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TwofoldError, match=r"'http://127.0.0.1:1/a.zip' .*its server takes no connection"):
        opened("http://me:hush@127.0.0.1:1/a.zip?sig=deadbeef", tmp_path)
    with pytest.raises(TwofoldError, match=r"'http://no.such.invalid/a.zip' .*\. Check the address"):
        opened("http://no.such.invalid/a.zip", tmp_path)
    monkeypatch.setattr(remote_file, "TIMEOUT", "100ms")
    server.wait_s = 0.5
    with pytest.raises(TwofoldError, match=r"/a.zip' .*no answer within 100ms\). Try again later"):
        opened(f"{server.web}/a.zip", tmp_path)
    server.wait_s, server.tells_length = 0.0, False
    with pytest.raises(TwofoldError, match=r"its server does not say how long the file is\). Download it"):
        opened(put(server, write_zip(tmp_path / "a.zip", FILES)), tmp_path)


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    put(server, write_zip(tmp_path / "a.zip", FILES))
    server.redirects["/latest.zip"] = "/a.zip"
    assert contents(opened(f"{server.web}/latest.zip", tmp_path)) == FILES


def everything_kept(folder: Path) -> bytes:
    return b"".join(str(path).encode() + path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_login_and_signature_are_used_and_neither_shown_nor_kept(server: Server, tmp_path: Path) -> None:
    server.login, server.signature = "me:hush", "X-Amz-Signature=deadbeef"
    put(server, write_zip(tmp_path / "a.zip", FILES))
    address = f"http://me:hush@127.0.0.1:{server.server_port}"
    (tmp_path / "list.csv").write_text(
        "url,label\n" + "".join(f"{address}/set/{name}?X-Amz-Signature=deadbeef,x\n" for name in FILES)
    )
    for data in (f"{address}/a.zip?X-Amz-Signature=deadbeef", str(tmp_path / "list.csv")):
        images = load_images(data, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
        assert len(images) == len(FILES)
        told = json.dumps([images.name, images.paths, images.survey and images.survey.to_dict()])
        for secret in SECRETS[1:]:
            assert secret not in told
            assert secret.encode() not in everything_kept(tmp_path / "cache")
    server.signature = "X-Amz-Signature=another"
    again = load_images(
        f"{address}/a.zip?X-Amz-Signature=another", recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache"
    )
    assert len(again) == len(FILES)  # signed anew, it is the same archive


def test_data_sets_of_a_transfer_are_called_without_keys() -> None:
    (name,) = transfer._sources(["https://me:hush@host/a.zip?X-Amz-Signature=deadbeef"], None, False)
    assert name == "https://host/a.zip"


def test_a_name_with_its_key_would_be_seen(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above finds what it looks for."""
    monkeypatch.setattr(remote, "shown_address", lambda address: address)
    address = put(server, write_zip(tmp_path / "a.zip", FILES)) + "?X-Amz-Signature=deadbeef"
    images = load_images(address, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
    assert "deadbeef" in images.name
    assert b"deadbeef" in everything_kept(tmp_path / "cache")


def test_addresses_that_differ_only_in_their_query_are_different_images(server: Server, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"{server.web}/set/cat/0.png?id={n}&sig=deadbeef\n" for n in range(2)))
    first = opened(str(tmp_path / "list.txt"), tmp_path)
    assert len({record.path for record in first.records}) == 2
    assert all(record.path.startswith("0.png?") and "deadbeef" not in record.path for record in first.records)
    (tmp_path / "list.txt").write_text("".join(f"{server.web}/set/cat/0.png?id={n}&sig=new\n" for n in range(2)))
    assert opened(str(tmp_path / "list.txt"), tmp_path).stamp() == first.stamp()
    (tmp_path / "list.txt").write_text("".join(f"{server.web}/set/cat/0.png?id={n}&sig=new\n" for n in (0, 2)))
    assert opened(str(tmp_path / "list.txt"), tmp_path).stamp() != first.stamp()


def test_what_is_spelt_with_percent_signs_arrives(server: Server, tmp_path: Path) -> None:
    server.files = {f"/set/a b/{name}.png": png(n) for n, name in enumerate(("c+d", "e%f", "ü", "g#h", "i?j"))}
    spelt = ["c+d", "e%25f", "%C3%BC", "g%23h", "i%3Fj"]
    (tmp_path / "list.txt").write_text("".join(f"{server.web}/set/a%20b/{name}.png\n" for name in spelt))
    expected = {path.removeprefix("/set/a b/"): content for path, content in server.files.items()}
    assert contents(opened(str(tmp_path / "list.txt"), tmp_path)) == expected
    server.files["/set/all.csv"] = "path\na b/c+d.png\na b/ü.png\na b/g#h.png\na b/i?j.png\n".encode()
    expected = {path.removeprefix("/set/"): content for path, content in server.files.items() if path.endswith("png")}
    del expected["a b/e%f.png"]
    assert contents(opened(f"{server.web}/set/all.csv", tmp_path)) == expected
