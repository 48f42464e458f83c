"""The named recipes."""

from twofold.console import obeys_verbose, say
from twofold.recipes.kinds import as_kind
from twofold.recipes.named import describe_recipes


@obeys_verbose
def list_recipes(*, verbose: bool = True) -> dict[str, str]:
    """Print each named recipe with its command, hardware, time and result; return these texts by name."""
    verbose = as_kind("verbose", verbose, bool)
    texts = describe_recipes()
    for name, text in texts.items():
        say(name)
        for line in text.splitlines():
            say(f"    {line}" if line else "")
        say("")
    return texts
