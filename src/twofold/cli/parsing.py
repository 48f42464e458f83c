"""From what was typed to a call, or to one line that says what is wrong with it."""

import contextlib
import functools
import io
import re
from collections.abc import Callable
from typing import Any

import tyro

from twofold.cli.failures import Commands
from twofold.errors import TwofoldError
from twofold.recipes.written_flags import written_out


def parse(arguments: list[str], commands: Commands) -> Callable[[], None]:
    """The chosen command with its arguments, not yet called. Raises TwofoldError for what cannot be understood."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.extras.subcommand_cli_from_dict(
                {name: _deferred(command) for name, command in commands.items()},
                prog="twofold",
                description="SimCLR for people who have many images and few labels.",
                args=written_out(arguments) or ["--help"],
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        lines = (re.sub(r"[╭╮╰╯│─]+( [\w ]+ ─+╮)?", "", line).strip() for line in box.getvalue().splitlines())
        text = re.sub(r"\s+", " ", " ".join(line for line in lines if line))
        raise TwofoldError(re.sub(r"^[\w ]+ -{9,} | -{9,}", "", text)) from None  # the frame where there is only ASCII


def _deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    @functools.wraps(command)
    def parsed(*arguments: Any, **options: Any) -> Callable[[], None]:
        return functools.partial(command, *arguments, **options)

    return parsed
