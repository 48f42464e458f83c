"""Tables of decisions and labels: what is written is read back, nothing of the user's is overwritten."""

from pathlib import Path

import pytest

from twofold.curation import read_labels, result_folder, write_csv
from twofold.errors import TwofoldError

PATHS = ["a,b.png", 'quo"te.png', "é/line\nbreak.png", "bytes\udcff.png"]


def test_labels_are_read_back_whatever_the_names(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "new" / "labels.csv", {"path": PATHS, "label": ["x", None, " y ", "z"]})
    assert read_labels(file, [*PATHS, "more.png"], "--labels") == ["x", None, "y", "z", None]


def test_floats_have_six_digits_and_none_is_empty(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "t.csv", {"a": [1 / 3, None], "b": [1, "é"]})
    assert file.read_text(encoding="utf-8") == "a,b\n0.333333,1\n,é\n"


def test_only_a_table_with_the_same_columns_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    write_csv(file, {"a": [1]})
    write_csv(file, {"a": [2]})
    assert file.read_text() == "a\n2\n"
    with pytest.raises(TwofoldError, match="nothing of yours is overwritten"):
        write_csv(file, {"a": [1], "b": [1]})
    assert file.read_text() == "a\n2\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,class\na.png,x\n", "no column label"),
        ("", "no column label and no column path"),
        ("path,label\nq.png,x\n", r"line 2 of .* names 'q.png', which is not an image of the data"),
        ("path,label\na.png,x\na.png,y\n", "line 3 of .* the label 'y', an earlier one 'x'"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(text)
    with pytest.raises(TwofoldError, match=words):
        read_labels(file, ["a.png"], "--labels")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match=r"none.csv'.*Change --labels"):
        read_labels(tmp_path / "none.csv", [], "--labels")


def test_a_mark_of_a_spreadsheet_and_an_empty_label_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(b"\xef\xbb\xbfpath,label\r\na.png,x\r\na.png,\r\n")
    assert read_labels(tmp_path / "l.csv", ["a.png"], "--labels") == ["x"]


def test_each_question_has_a_folder_of_its_own(tmp_path: Path) -> None:
    home = tmp_path / "run" / "clean"
    first = result_folder(home, {"data": "x", "k": (1, 2)}, given=False)
    assert first == home
    assert result_folder(home, {"data": "x", "k": (1, 2)}, given=False) == home
    second = result_folder(home, {"data": "y"}, given=False)
    assert second == tmp_path / "run" / "clean-2"
    assert result_folder(home, {"data": "y"}, given=False) == second


def test_a_given_folder_with_anything_else_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(TwofoldError, match=r"nothing of yours is overwritten\. Choose another folder with --out"):
        result_folder(tmp_path, {}, given=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    result_folder(tmp_path / "new", {"a": 1}, given=True)
    with pytest.raises(TwofoldError, match="--out"):
        result_folder(tmp_path / "new", {"a": 2}, given=True)
