"""What is printed: no name steers the terminal, and no encoding of the terminal ends the program."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.table import Table

from pictures import write_pictures
from small_recipe import SMALL
from twofold import console as module
from twofold.cli import main as cli
from twofold.console import say, show_settings, visible
from twofold.evaluation import Row, results_table
from twofold.recipes.written_flags import as_flags

ODD = "bröken\n\x1b[2J\x07\u202e\udcff.png"
FLAGS = [
    word
    for name in ("size_px", "encoder", "stages", "width", "stem", "batch_size", "epochs", "device", "precision")
    for word in as_flags({name: SMALL.settings()[name]})[0].split()
]


def harmful(text: str) -> set[str]:
    """What is neither a line break nor a character that only shows itself."""
    kinds = {one: unicodedata.category(one) for one in set(text) - {"\n"}}
    directions = {one for one in kinds if unicodedata.bidirectional(one) in ("RLE", "LRE", "RLO", "LRO", "PDF")}
    return {one for one, kind in kinds.items() if kind in ("Cc", "Cs", "Zl", "Zp")} | directions


def test_every_character_is_shown_or_escaped() -> None:
    everything = "".join(map(chr, range(0x11000)))
    shown = visible(everything)
    assert not harmful(shown)
    assert "\n" not in shown
    assert visible(shown) == shown
    assert visible("Käse 日本語 🐈‍⬛ ± [bold] \\x1b") == "Käse 日本語 🐈‍⬛ ± [bold] \\x1b"
    assert visible(ODD) == r"bröken\n\x1b[2J\x07\u202e\udcff.png"
    assert visible("ä±日", "ascii") == r"\xe4+-\u65e5"
    assert visible("ä±日", "latin-1") == "ä±\\u65e5"
    assert visible("a\nb\r", keep="\n") == "a\nb\\r"


@contextlib.contextmanager
def printing() -> Iterator[io.BytesIO]:
    """The bytes on a stdout that takes ASCII alone and forgives nothing."""
    stream = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(stream, encoding="ascii", errors="strict", write_through=True)):
        yield stream
        sys.stdout.detach()  # type: ignore[union-attr]


def test_a_line_stays_a_line() -> None:
    with printing() as printed:
        say(f"set aside: {ODD}: :smile: [red]no markup[/red]")
        say("\nData:\n")
        say("")
    assert printed.getvalue() == (
        rb"set aside: br\xf6ken\n\x1b[2J\x07\u202e\udcff.png: :smile: [red]no markup[/red]" + b"\n\nData:\n\n\n"
    )


def test_tables_keep_their_numbers() -> None:
    cell = {"protocol": "knn", "labels": "all", "metric": "top1", "seeds": 5, "over": "images"}
    rows = [Row(encoder=name, mean=0.5, low=0.4, high=0.6, **cell) for name in ("trained", "untrained", "pixels")]
    table = Table(ODD)
    table.add_row(ODD)
    with printing() as printed:
        module.console.print(results_table(rows, note=ODD))
        show_settings("Recipe", {"name": ODD, "other": "[x]"})
        module.console.print(table)
    text = printed.getvalue().decode("ascii")
    assert text.count("50.0 +- 10.0") == 3
    assert not harmful(text)
    assert r"\x1b[2J" in re.sub(r"\s", "", text)
    assert "[x]" in text


def test_where_the_terminal_can_show_it_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    say("Käse ± 日本語")
    assert "Käse ± 日本語" in capsys.readouterr().out


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in a class of an odd name, with an odd and broken file."""
    home = tmp_path_factory.mktemp("output")
    data = write_pictures(home / "data", per_class=8, splits=("train", "test"))
    for split in ("train", "test"):
        (data / split / "bars").rename(data / split / "bärs\n\x1b[31m")
    (data / "train" / "checks" / ODD).write_bytes(b"no image")
    return home


def run(home: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {
        "PYTHONIOENCODING": "ascii",
        "TWOFOLD_CACHE": str(home / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run([sys.executable, "-m", "twofold", *words], capture_output=True, env=environment, cwd=home)


def require_plain(result: subprocess.CompletedProcess[bytes]) -> tuple[str, str]:
    out, err = result.stdout.decode("ascii"), result.stderr.decode("ascii")
    assert not harmful(out + err)
    assert "Traceback" not in err
    return out, err


@pytest.fixture(scope="module")
def pretrained(home: Path) -> subprocess.CompletedProcess[bytes]:
    return run(home, "pretrain", "data", "--out", "rün", *FLAGS)


def test_a_run_names_odd_files_in_ascii(home: Path, pretrained: subprocess.CompletedProcess[bytes]) -> None:
    out, err = require_plain(pretrained)
    assert (pretrained.returncode, err) == (0, "")
    assert (
        r"1 file cannot be read: train/checks/br\xf6ken\n\x1b[2J\x07\u202e\xff.png: its content is not recognised"
        in out
    )
    assert r"Report: r\xfcn/report.html" in out
    assert "bärs" in (home / "rün" / "report.html").read_text(encoding="utf-8")
    assert len((home / "rün" / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_an_error_names_an_odd_run_in_ascii(home: Path) -> None:
    result = run(home, "evaluate", "ö\x1b", "--data", "data")
    out, err = require_plain(result)
    assert (result.returncode, out) == (1, "")
    assert err.startswith(r"twofold: '\xf6\x1b' is not a run")


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize(
    ("command", "fails"),
    [
        ("evaluate rün --data data --seeds 1 --few-seeds 1 --shots 1", False),
        ("transfer rün --to data --protocol knn --seeds 1", False),
        ("embed rün data --out h.parquet", False),
        ("report rün", False),
        ("recipes", False),
        ("--help", False),
        ("pretrain --help", False),
        ("embed rün {odd} --out h.parquet", True),
        ("embed {odd} data --out h.parquet", True),
        ("embed rün data --out h{odd}", True),
        ("evaluate {odd} --data data", True),
        ("evaluate rün --data {odd}", True),
        ("evaluate rün --data data --protocol {odd}", True),
        ("transfer rün --to {odd}", True),
        ("transfer rün --to data --beside {odd}", True),
        ("report {odd}", True),
        ("pretrain data --out rün --encoder {odd}", True),
        ("pretrain data --out rün --batch-size {odd}", True),
        ("pretrain data --out rün --{odd} 3", True),
        ("pretrain data --out rün --recipe {odd}.json", True),
        ("pretrain data --out {odd}/x", True),
        ("sample {odd}", True),
    ],
)
def test_every_command_prints_ascii_and_no_control_characters(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str, fails: bool
) -> None:
    odd = "ö\n\x1b[2J\u202e\udcfe"
    (home / odd).write_bytes(b"a file where a folder is wanted")
    monkeypatch.chdir(home)
    monkeypatch.setenv("TWOFOLD_CACHE", str(home / "cache"))
    monkeypatch.setattr(sys, "argv", ["twofold", *(word.replace("{odd}", odd) for word in command.split())])
    code: object = 0
    with printing() as printed:
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
    assert not harmful(printed.getvalue().decode("ascii"))
    if fails:
        assert isinstance(code, str)
        assert code.startswith("twofold: ")
        assert "\n" not in code
        assert not harmful(code)
    else:
        assert code in (0, None)
        assert printed.getvalue()


def test_from_python_too(home: Path, pretrained: subprocess.CompletedProcess[bytes]) -> None:
    shutil.copytree(home / "rün", home / "bärs\x1b")
    code = "from twofold.programs.report import write_report; write_report('bärs\\x1b'); print('mine')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=home, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert require_plain(result)[0] == "Report: b\\xe4rs\\x1b/report.html\nmine\n"
