"""Folders: what is found, how it is labelled, what is refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from twofold.data import Source, open_source
from twofold.errors import TwofoldError


def put(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / path)
    return root


def paths(source: Source) -> list[str]:
    return [record.path for record in source.records]


def test_pictures_at_any_depth_are_found_in_order(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "a/x/y/z.JPG".lower(), "a/deep.webp", "c/d.tiff")
    assert paths(open_source(tmp_path)) == ["a/deep.webp", "a/x/y/z.jpg", "b.png", "c/d.tiff"]


def test_hidden_and_other_files_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.png", ".hidden.png", ".thumbs/b.png", "c/._d.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "png").write_text("no extension")
    (tmp_path / "UPPER.JPG").write_bytes(b"broken, but called an image")
    (tmp_path / "scan.FITS").write_bytes(b"a photograph")
    (tmp_path / "other.fits").write_bytes(b"a photograph")
    source = open_source(tmp_path)
    assert paths(source) == ["UPPER.JPG", "a.png"]
    assert [(finding.code, finding.text) for finding in source.findings] == [
        ("TF010", "images that cannot be read here: 2 x .fits (FITS image)"),
        ("TF011", "other files: 1 x .txt, 1 x no extension"),
        ("TF012", "left out: 3 x hidden files and folders"),
    ]


def test_a_folder_of_pictures_alone_has_nothing_to_say(tmp_path: Path) -> None:
    assert open_source(put(tmp_path, "a.png", "b/c.png")).findings == []


def test_content_is_that_of_the_file(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b/c.png")
    source = open_source(tmp_path)
    for index, record in enumerate(source.records):
        assert source.read(index) == (tmp_path / record.path).read_bytes()


def test_loops_of_links_end_and_nothing_counts_twice(tmp_path: Path) -> None:
    root, outside = put(tmp_path / "root", "z/a.png"), put(tmp_path / "outside", "b.png")
    (root / "a-loop").symlink_to(root)
    (root / "z" / "up").symlink_to(root / "z")
    (root / "linked").symlink_to(outside)
    (outside / "back").symlink_to(root)
    (root / "again").symlink_to(root / "z")
    source = open_source(root)
    assert paths(source) == ["linked/b.png", "z/a.png"]
    (finding,) = [finding for finding in source.findings if finding.code == "TF013"]
    assert finding.text == (
        "links to folders: followed linked/; not followed, because read already: a-loop/, again/, z/up/, linked/back/"
    )


def test_a_link_to_nowhere_stays_in_the_list(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    source = open_source(tmp_path)
    assert paths(source) == ["a.png", "gone.png"]
    with pytest.raises(FileNotFoundError):
        source.read(1)


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert paths(open_source(tmp_path)) == ["a.png"]


def test_names_that_are_no_utf8_can_be_shown(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.png", "wb") as file:  # noqa: PTH123
        file.write(b"content")
    source = open_source(tmp_path)
    assert paths(source) == ["\\xff.png"]
    assert source.read(0) == b"content"
    assert len(source.stamp()) == 64


def test_the_stamp_moves_with_the_files_and_with_nothing_else(tmp_path: Path) -> None:
    put(tmp_path / "data", "a.png", "b.png")
    first = open_source(tmp_path / "data").stamp()
    assert open_source(tmp_path / "data").stamp() == first
    stat = (tmp_path / "data/a.png").stat()
    content = (tmp_path / "data/a.png").read_bytes()
    (tmp_path / "data/a.png").write_bytes(content[:-1] + b"?")
    os.utime(tmp_path / "data/a.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = open_source(tmp_path / "data").stamp()
    put(tmp_path / "data", "c.png")
    third = open_source(tmp_path / "data").stamp()
    (tmp_path / "data").rename(tmp_path / "moved")
    assert len({first, second, third, open_source(tmp_path / "moved").stamp()}) == 4


def test_an_empty_folder_and_one_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match=r"holds no readable image \(it is empty\)"):
        open_source(tmp_path)
    (tmp_path / "a.fits").write_bytes(b"x")
    (tmp_path / "b.fits").write_bytes(b"x")
    with pytest.raises(TwofoldError, match=r"only 2 x \.fits"):
        open_source(tmp_path)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match="no folder, table or torchvision data set called") as raised:
        open_source(tmp_path / "nothing")
    assert str(tmp_path / "nothing") in str(raised.value)
    with pytest.raises(TwofoldError, match="called ''"):
        open_source("")


def test_a_single_file_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    with pytest.raises(TwofoldError, match="single file"):
        open_source(tmp_path / "a.png")


@pytest.mark.parametrize("locked", [".", "b"])
def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str) -> None:
    put(tmp_path, "a.png", "b/c.png")
    listing = os.scandir

    def refuse(folder: str) -> object:
        if Path(folder) == tmp_path / locked:
            raise PermissionError(13, "Permission denied", folder)
        return listing(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(TwofoldError, match=r"cannot be listed \(Permission denied\)"):
        open_source(tmp_path)


@pytest.mark.parametrize("gone", ["1.png", "1.npy"])
def test_a_file_that_goes_while_its_folder_is_listed_was_never_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    put(tmp_path, "0.png", "2.png")
    (tmp_path / gone).write_bytes(b"x")
    listing = os.scandir

    @contextmanager
    def removing(folder: str) -> Iterator[list[os.DirEntry[str]]]:
        with listing(folder) as entries:
            found = list(entries)
        (tmp_path / gone).unlink()
        yield found

    monkeypatch.setattr(os, "scandir", removing)
    assert paths(open_source(tmp_path)) == ["0.png", "2.png"]
