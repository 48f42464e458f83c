"""Objects of the user's own that are named as module:name."""

import importlib
import sys
from pathlib import Path
from typing import Any

from twofold.errors import TwofoldError


def import_object(text: str, kind: str) -> Any:
    """What `module:name` names; modules in the folder that the command runs in are found too.

    `kind` says in the error what was looked for. Raises TwofoldError where there is no such module or name.
    """
    module, _, name = text.partition(":")
    here = str(Path.cwd())
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    try:
        found = importlib.import_module(module)
    except Exception as error:  # a module of the user's may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise TwofoldError(
            f"the {kind} '{text}' cannot be imported ({reason}); it must be MODULE:NAME of a module that Python finds "
            "here. Start the command in the module's folder, or put that folder into PYTHONPATH."
        ) from error
    finally:
        if added:
            sys.path.remove(here)
    for part in name.split("."):
        if not hasattr(found, part):
            raise TwofoldError(f"the {kind} '{text}' is not there: the module '{module}' has no '{name}'. Correct it.")
        found = getattr(found, part)
    return found
