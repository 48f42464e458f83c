"""Text from outside, such as names of files, made fit for a terminal: nothing in it moves the cursor or hides."""

import re

# control characters, separators of lines, what turns the direction of writing around, halves of characters
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN = {"±": "+-", "²": "^2"}  # our own signs


def visible(text: str, encoding: str = "utf-8", keep: str = "") -> str:
    """The text with backslash escapes for control characters, but for those in `keep`.

    What the encoding does not have is escaped too, or spelt out where it is a sign that our own tables use.

    >>> visible("a\\x1b[2Jb\\n")
    'a\\\\x1b[2Jb\\\\n'
    >>> visible("ä", "ascii")
    '\\\\xe4'
    """
    shown = _HARMFUL.sub(lambda found: found[0] if found[0] in keep else repr(found[0])[1:-1], text)
    try:
        shown.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_spelt(one, encoding) for one in shown)
    return shown


def _spelt(one: str, encoding: str) -> str:
    try:
        one.encode(encoding)
    except UnicodeEncodeError:
        return _PLAIN.get(one) or one.encode(encoding, "backslashreplace").decode(encoding)
    return one
