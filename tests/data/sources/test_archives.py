"""Archives are read where they lie, and hold what zipfile and tarfile find in them."""

import gzip
import io
import json
import random
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twofold.data import Source, load_images, open_source
from twofold.data.sources import archive_index, gzip_blocks
from twofold.data.sources.data_file import LocalFile
from twofold.data.sources.gzip_blocks import GzipBlocks
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


def png(value: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(value).integers(0, 256, (12, 10, 3), np.uint8)
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


FILES = {f"{kind}/{number}.png": png(10 * number + len(kind)) for kind in ("cat", "horse") for number in range(4)}


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def contents(source: Source) -> dict[str, bytes]:
    read = {}
    for number, record in enumerate(source.records):
        content = source.read(number)
        assert isinstance(content, bytes)
        file = source.open(number)
        assert not isinstance(file, Image.Image)
        with file:
            assert file.read(7) == content[:7]
            file.seek(3)
            assert file.read() == content[3:]
        read[record.path] = content
    return read


def labels(source: Source) -> dict[str, str | None]:
    return {record.path: record.label for record in source.records}


def opened(path: Path | str, tmp_path: Path) -> Source:
    return open_source(path, cache=tmp_path / "cache")


KINDS = {
    "stored.zip": lambda path: write_zip(path, FILES),
    "deflated.zip": lambda path: write_zip(path, FILES, zipfile.ZIP_DEFLATED),
    "plain.tar": lambda path: write_tar(path, FILES),
    "packed.tar.gz": lambda path: write_tar(path, FILES, "w:gz"),
    "packed.tgz": lambda path: write_tar(path, FILES, "w:gz"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_a_folder_that_lies_in_one_file(kind: str, tmp_path: Path) -> None:
    source = opened(KINDS[kind](tmp_path / kind), tmp_path)
    assert contents(source) == FILES
    assert list(labels(source)) == sorted(FILES)
    assert labels(source) == {path: path.partition("/")[0] for path in FILES}
    assert {path.name for path in tmp_path.iterdir()} == {kind, "cache"}  # nothing is unpacked beside it
    assert [path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [".npz"]


def test_pixels_of_an_archive_are_those_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_zip(tmp_path / "a.zip", FILES)
    sets = [
        load_images(tmp_path / name, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
        for name in ("folder", "a.zip")
    ]
    assert sets[0].paths == sets[1].paths
    assert sets[0].labels == sets[1].labels
    assert sets[0].fingerprint == sets[1].fingerprint
    rows = np.arange(len(FILES))
    assert (sets[0].read(rows).images == sets[1].read(rows).images).all()


def test_the_index_is_made_once_and_again_when_the_archive_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tar(tmp_path / "a.tar", FILES)
    first = opened(path, tmp_path)
    monkeypatch.setattr(archive_index, "_tar_members", None)  # a second look would fail
    again = opened(path, tmp_path)
    assert again.records == first.records
    assert again.stamp() == first.stamp()
    assert contents(again) == FILES
    monkeypatch.undo()
    write_tar(path, FILES | {"cat/new.png": png(99)})
    changed = opened(path, tmp_path)
    assert len(changed.records) == len(FILES) + 1
    assert changed.stamp() != first.stamp()


def test_of_two_members_of_one_name_the_last_counts_and_links_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write_tar(path, {"./x.png": png(1)})
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("x.png")
        info.size = len(png(2))
        archive.addfile(info, io.BytesIO(png(2)))
        link = tarfile.TarInfo("y.png")
        link.type, link.linkname = tarfile.LNKTYPE, "x.png"
        archive.addfile(link)
    assert contents(opened(path, tmp_path)) == {"x.png": png(2), "y.png": png(2)}


def test_what_is_no_image_is_counted_and_no_name_leads_out(tmp_path: Path) -> None:
    files = {"../../up.png": png(1), "__MACOSX/a.png": b"", ".b.png": b"", "notes.md": b"x", "c.csv": b"x"}
    source = opened(write_zip(tmp_path / "a.zip", files), tmp_path)
    assert list(labels(source)) == ["up.png"]
    said = {finding.code: finding.text for finding in source.findings}
    assert said["TF011"] == "other files: 1 x .csv, 1 x .md"
    assert said["TF012"] == "left out: 1 x __MACOSX, 1 x hidden files and folders"
    assert "TF014" in said


def test_a_packing_that_is_not_read_sets_that_image_aside(tmp_path: Path) -> None:
    source = opened(write_zip(tmp_path / "a.zip", FILES, zipfile.ZIP_LZMA), tmp_path)
    with pytest.raises(OSError, match="packed with lzma"):
        source.read(0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.zip", b"no zip", "cannot be read"),
        ("a.tar", b"no tar" * 200, "cannot be read"),
        ("a.tar.gz", b"no gzip", "cannot be read"),
        ("a.tar.gz", gzip.compress(b"x" * 9000, mtime=0)[:-20], "cannot be read"),
        ("a.tar.xz", b"", r"archives are read in place, as \.zip"),
    ],
    ids=["zip", "tar", "gzip", "truncated gzip", "xz"],
)
def test_what_cannot_be_read_is_one_error(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TwofoldError, match=words):
        opened(tmp_path / name, tmp_path)


def test_an_archive_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match=r"holds no readable image \(other files: 1 x \.txt\)"):
        opened(write_zip(tmp_path / "a.zip", {"a.txt": b""}), tmp_path)


def test_webdataset_shards_have_labels_splits_and_groups(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    truth: dict[str, tuple[str, str | None]] = {}
    for shard in ("train-000000", "train-000001", "val-000000"):
        files = {}
        for key in range(3):
            label = (key + len(truth)) % 2
            files[f"{key:05d}.png"] = png(100 + len(truth))
            if shard == "val-000000":
                files[f"{key:05d}.json"] = json.dumps({"label": label, "group": f"g{key}"}).encode()
            else:
                files[f"{key:05d}.cls"] = str(label).encode()
            truth[f"{shard}.tar/{key:05d}.png"] = (str(label), f"g{key}" if shard == "val-000000" else None)
        write_tar(folder / f"{shard}.tar", files)
    for data in (folder, str(folder / "*.tar")):
        source = opened(data, tmp_path)
        assert {one.path: (one.label, one.group) for one in source.records} == truth
        splits = {one.path.split("-")[0]: one.split for one in source.records}
        assert splits == {"train": "train", "val": "validation"}
        assert [finding.code for finding in source.findings] == ["TF047"]


def test_archives_of_classes_and_of_splits_are_folders(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        write_zip(tmp_path / f"{name}.zip", {f"{number}.png": png(number) for number in range(2)})
    assert labels(opened(tmp_path, tmp_path)) == {
        f"{name}.zip/{number}.png": name for name in ("cats", "dogs") for number in range(2)
    }


def test_folders_archives_and_images_of_a_list_are_one_folder(tmp_path: Path) -> None:
    for name in ("a/cat/1.png", "b/cat/1.png", "b/dog/2.png", "single.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png(len(name)))
    write_zip(tmp_path / "c.zip", FILES)
    (tmp_path / "list.txt").write_text("# mine\na/cat\n\nb/dog/\nc.zip\nsingle.png\n")
    source = opened(tmp_path / "list.txt", tmp_path)
    expected = ["cat/1.png", "dog/2.png", *(f"c.zip/{name}" for name in sorted(FILES)), "single.png"]
    assert list(labels(source)) == expected
    assert labels(source)["cat/1.png"] == "cat"
    assert contents(source)["dog/2.png"] == png(len("b/dog/2.png"))
    pattern = opened(str(tmp_path / "?"), tmp_path)  # a and b
    assert list(labels(pattern)) == ["a/cat/1.png", "b/cat/1.png", "b/dog/2.png"]
    same_name = opened(str(tmp_path / "*" / "cat"), tmp_path)
    assert list(labels(same_name)) == ["a/cat/1.png", "b/cat/1.png"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names nothing"),
        ("gone", "line 1 of .* names 'gone', which is not there"),
        ("../outside", "leads to .*--allow-outside"),
        ("list.txt", "may name folders, archives and images only"),
    ],
)
def test_a_list_that_leads_nowhere_is_one_error(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "list.txt").write_text(text)
    with pytest.raises(TwofoldError, match=words):
        opened(tmp_path / "in" / "list.txt", tmp_path)


def test_gzip_is_read_at_any_place_as_gzip_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_blocks, "_LEAST", 5000)
    monkeypatch.setattr(gzip_blocks, "_INPUT", 700)
    draw = random.Random(0)
    whole = b"".join(bytes([draw.randrange(256)]) * draw.randrange(1, 40) for _ in range(4000))
    path = tmp_path / "a.gz"  # two members and padding, as other programs write
    path.write_bytes(gzip.compress(whole[:30000]) + gzip.compress(whole[30000:]) + bytes(512))
    blocks = GzipBlocks(LocalFile(path))
    spans = [(draw.randrange(len(whole) + 100), draw.randrange(20000)) for _ in range(60)]
    with ThreadPoolExecutor(4) as threads:
        read = list(threads.map(lambda span: blocks.read_at(*span), spans))
    assert read == [whole[start : start + size] for start, size in spans]


def test_each_block_of_a_gzip_begins_where_its_state_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an image at the end of a large archive does not cost all before it: seen by the bytes that are read."""
    monkeypatch.setattr(gzip_blocks, "_LEAST", 5000)
    monkeypatch.setattr(gzip_blocks, "_INPUT", 500)
    monkeypatch.setattr(gzip_blocks, "_BLOCKS_KEPT", 1)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(random.Random(1).randbytes(200_000)))
    blocks = GzipBlocks(LocalFile(path))
    blocks.read_at(199_000, 100)
    blocks.read_at(0, 100)
    unpacked: list[int] = []
    unpack = gzip_blocks._unpack
    monkeypatch.setattr(gzip_blocks, "_unpack", lambda p, point, s: unpacked.append(point.start) or unpack(p, point, s))
    blocks.read_at(150_000, 100)
    assert len(unpacked) == 1
    assert unpacked[0] > 140_000
