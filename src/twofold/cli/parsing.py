"""From what was typed to a call, or to one line that says what is wrong with it."""

import contextlib
import difflib
import functools
import io
import re
from collections.abc import Callable
from typing import Any

import tyro

from twofold.cli.failures import Commands, flags_of
from twofold.errors import TwofoldError, unknown_name
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
        _require_known(arguments, commands)
        lines = (re.sub(r"[╭╮╰╯│─]+( [\w ]+ ─+╮)?", "", line).strip() for line in box.getvalue().splitlines())
        text = re.sub(r"\s+", " ", " ".join(line for line in lines if line))
        raise TwofoldError(re.sub(r"^[\w ]+ -{9,} | -{9,}", "", text)) from None  # the frame where there is only ASCII


def _require_known(arguments: list[str], commands: Commands) -> None:
    """Raises TwofoldError for a command that there is not, and for an option that the command lacks.

    tyro would tell of every command's options.
    """
    if not arguments or arguments[0].startswith("-"):
        return
    if arguments[0] not in commands:
        raise unknown_name("command", arguments[0], commands)
    command, flags = arguments[0], flags_of(commands[arguments[0]])
    for argument in written_out(arguments)[1:]:
        name = argument.partition("=")[0]
        plain = name[2:].replace("_", "-")
        if re.match(r"--[a-zA-Z]", name) and plain != "help" and plain.removeprefix("no-") not in flags:
            near = difflib.get_close_matches(plain, sorted(flags), n=1)
            hint = f"; did you mean --{near[0]}?" if near else "."
            raise TwofoldError(f"'twofold {command}' has no option {name}{hint} See 'twofold {command} -h'.")


def _deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    @functools.wraps(command)
    def parsed(*arguments: Any, **options: Any) -> Callable[[], None]:
        return functools.partial(command, *arguments, **options)

    return parsed
