"""What a source may open: a table names files in its own folder, and nothing but regular files is ever opened."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from twofold.data import load_images, look_at, open_source
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

Table = Callable[[Path, list[str]], Path]


def manifest(folder: Path, paths: list[str]) -> Path:
    (folder / "list.csv").write_text("path\n" + "".join(f'"{path}"\n' for path in paths), encoding="utf-8")
    return folder / "list.csv"


def parquet(folder: Path, paths: list[str]) -> Path:
    cells = [{"bytes": None, "path": path} for path in paths]
    pq.write_table(pa.table({"image": pa.array(cells, PICTURE)}), folder / "list.parquet")
    return folder / "list.parquet"


PICTURE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@pytest.fixture(params=[manifest, parquet], ids=["csv", "parquet"])
def table(request: pytest.FixtureRequest) -> Table:
    return request.param


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """inside/ with images, where tables are; outside/ with another; links from one to the other, and within one."""
    for place in ("inside/sub/a.png", "inside/b.png", "outside/secret.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / place)
    (tmp_path / "inside" / "link.png").symlink_to(tmp_path / "outside" / "secret.png")
    (tmp_path / "inside" / "linked").symlink_to(tmp_path / "outside")
    (tmp_path / "inside" / "alias.png").symlink_to("b.png")
    (tmp_path / "insider").symlink_to(tmp_path / "outside")  # its name begins like the folder's
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "{home}/outside/secret.png",
        "../outside/secret.png",
        "sub/../../outside/secret.png",
        "../insider/secret.png",
        "link.png",
        "linked/secret.png",
        "linked/gone.png",
        "linked/../outside/secret.png",
        "..",
        "/etc/hostname",
        "../outside/gone.png",
    ],
)
def test_what_leaves_the_folder_is_refused_unless_it_is_allowed(home: Path, table: Table, path: str) -> None:
    path = path.format(home=home)
    place = table(home / "inside", ["b.png", path])
    with pytest.raises(TwofoldError, match="--allow-outside") as raised:
        open_source(place)
    for part in (str(place), path, "own folder", "line 3" if place.suffix == ".csv" else "row 1"):
        assert part in str(raised.value)
    source = open_source(place, allow_outside=True)
    if "secret" in path:
        assert source.read(1) == (home / "outside" / "secret.png").read_bytes()


@pytest.mark.parametrize(
    "path", ["sub/a.png", "./sub/a.png", "sub/../sub/a.png", "../inside/sub/a.png", "{home}/inside/sub/a.png"]
)
def test_what_stays_in_the_folder_is_read(home: Path, table: Table, path: str) -> None:
    source = open_source(table(home / "inside", ["b.png", path.format(home=home)]))
    assert source.read(1) == (home / "inside" / "sub" / "a.png").read_bytes()


def test_a_link_within_the_folder_is_read(home: Path, table: Table) -> None:
    source = open_source(table(home / "inside", ["sub/a.png", "alias.png"]))
    assert source.read(1) == (home / "inside" / "b.png").read_bytes()


def test_a_folder_that_is_reached_by_a_link_is_the_folder(home: Path, table: Table) -> None:
    table(home / "inside", ["b.png", "sub/a.png"])
    (home / "way").symlink_to(home / "inside")
    (place,) = (path for path in (home / "way").iterdir() if path.stem == "list")
    assert open_source(place).read(0) == (home / "inside" / "b.png").read_bytes()


def test_a_path_that_cannot_be_one_is_one_clear_error(home: Path, table: Table) -> None:
    with pytest.raises(TwofoldError, match="zero character"):
        open_source(table(home / "inside", ["b.png", "a\0b.png"]))


def test_the_paths_beside_bytes_are_names_alone(home: Path) -> None:
    """As in most parquet files: nothing is opened there."""
    content = (home / "inside" / "b.png").read_bytes()
    cells = [{"bytes": content, "path": "/etc/hostname"}, {"bytes": content, "path": "../x.png"}]
    pq.write_table(pa.table({"image": pa.array(cells, PICTURE)}), home / "list.parquet")
    source = open_source(home / "list.parquet")
    assert [record.path for record in source.records] == ["/etc/hostname", "../x.png"]
    assert source.read(0) == content


IRREGULAR = ["pipe.png", "pipe-link.png", "zero.png", "socket.png"]


@pytest.fixture
def irregular(home: Path) -> Path:
    """The folder with a pipe, links to a pipe and to an endless device, and a socket, all called .png."""
    folder = home / "inside"
    (folder / "link.png").unlink()
    (folder / "linked").unlink()
    os.mkfifo(folder / "pipe.png")
    (folder / "pipe-link.png").symlink_to("pipe.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    here = Path.cwd()
    os.chdir(folder)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("socket.png")
    finally:
        os.chdir(here)
    return folder


READ = """
import sys
from twofold.data import load_images, look_at, open_source
from twofold.recipes.recipe import DataRecipe
recipe = DataRecipe(max_unreadable_fraction=0.9)
for place in sys.argv[2:]:
    look_at(open_source(place, allow_outside=True))
    images = load_images(place, recipe=recipe, store_px=None, cache=sys.argv[1], allow_outside=True)
    print(*(f"{one.path}: {one.reason}" for one in images.quarantine), sep="\\n")
"""


@pytest.mark.parametrize("kind", ["folder", "tables"])
def test_what_is_no_regular_file_is_set_aside_and_never_waited_for(irregular: Path, tmp_path: Path, kind: str) -> None:
    """In a process of its own: a hang or an endless read would take this one along."""
    names = [*IRREGULAR, "sub"]
    if kind == "folder":
        places, names = [irregular], [name for name in IRREGULAR if (irregular / name).is_symlink()]
    else:
        places = [make(irregular, ["b.png", "sub/a.png", *names]) for make in (manifest, parquet)]
    found = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "cache"), *map(str, places)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    expected = [f"{name}: the file cannot be opened (not a regular file)" for name in names]
    assert sorted(found.stdout.splitlines()) == sorted(expected * len(places))


def test_a_device_in_a_folder_of_ones_own_counts_as_outside(irregular: Path, table: Table) -> None:
    with pytest.raises(TwofoldError, match=r"/dev/zero.*--allow-outside"):
        open_source(table(irregular, ["b.png", "zero.png"]))


def test_in_a_folder_they_are_counted(irregular: Path) -> None:
    source = open_source(irregular)
    assert [finding.text for finding in source.findings] == ["other files: 2 x pipe, socket or device"]
    assert look_at(source).unreadable == 2


def test_files_behind_a_table_that_changed_make_a_new_store(home: Path, table: Table) -> None:
    """Also where nothing but a later row names one, among rows that hold their bytes."""
    place, cache = table(home / "inside", ["b.png", "sub/a.png"]), home / "cache"

    def first_bytes() -> list[int]:
        images = load_images(place, recipe=DataRecipe(), store_px=None, cache=cache)
        return [int(picture.flatten()[0]) for picture in images.read(images.rows("train")).images]

    assert first_bytes() == [0, 0]
    Image.new("RGB", (4, 4), (7, 0, 0)).save(home / "inside" / "sub" / "a.png")
    assert first_bytes() == [0, 7]


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("group", [1, 2, 5])
def test_the_stamp_of_a_parquet_file_moves_with_the_files_it_names(home: Path, statistics: bool, group: int) -> None:
    folder = home / "inside"
    content = (folder / "b.png").read_bytes()
    cells = [
        {"bytes": content, "path": "b.png"},
        {"bytes": None, "path": None},
        None,
        {"bytes": None, "path": "sub/a.png"},
        {"bytes": content, "path": "x.png"},
    ]
    place = folder / "mixed.parquet"
    pq.write_table(
        pa.table({"image": pa.array(cells, PICTURE)}), place, row_group_size=group, write_statistics=statistics
    )
    source = open_source(place)
    assert source.read(3) == (folder / "sub" / "a.png").read_bytes()
    assert source.read(0) == source.read(4) == content
    for row in (1, 2):
        with pytest.raises(OSError, match="no image"):
            source.read(row)
    before = source.stamp()
    assert open_source(place).stamp() == before
    Image.new("RGB", (5, 4)).save(folder / "b.png")  # only a name here
    assert open_source(place).stamp() == before
    Image.new("RGB", (5, 4)).save(folder / "sub" / "a.png")
    assert open_source(place).stamp() != before
