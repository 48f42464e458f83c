"""Where results go: one folder for each question that was asked, never in place of the answer to another."""

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from twofold.errors import TwofoldError
from twofold.files import make_folder, write_json

QUESTION = "question.json"
ANSWER = "answer.json"


def result_folder(home: Path, question: dict[str, Any], *, given: bool) -> Path:
    """A folder for the answer to `question` (plain values): a new one, or that of the same question.

    It is `home`, or, unless the user has `given` that name, home-2, home-3 ...: the first that is free or has the same
    question. Raises TwofoldError where a given folder holds anything else, and where it cannot be written.
    """
    question = json.loads(json.dumps(question))  # as it will be read back
    for number in count(1):
        folder = home if number == 1 else home.with_name(f"{home.name}-{number}")
        if _is_empty(folder) or _question(folder) == question:
            break
        if given:
            raise TwofoldError(
                f"'{folder}' holds other files than results of this command, and nothing of yours is overwritten. "
                "Choose another folder with --out."
            )
    make_folder(folder, "--out")
    write_json(folder / QUESTION, question)
    return folder


def write_answer(folder: Path, title: str, page: str, said: Sequence[str]) -> None:
    """Leave in a result folder what the report of a run shows of it: a title, the page's file name, and sentences."""
    write_json(folder / ANSWER, {"title": title, "page": page, "said": list(said)})


def _is_empty(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _question(folder: Path) -> object:
    try:
        return json.loads((folder / QUESTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
