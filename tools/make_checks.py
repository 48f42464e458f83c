"""Write docs/checks.md: every finding about data, with its code.

python tools/make_checks.py
"""

from pathlib import Path

from twofold.data.findings import CHECKS

PAGE = Path(__file__).parents[1] / "docs" / "checks.md"


def page() -> str:
    """The whole page."""
    lines = [
        "# Findings about data",
        "",
        "Written by `python tools/make_checks.py` from `twofold/data/findings.py`. Every command that reads data",
        "prints what it found, with these codes; `twofold doctor DATA` prints all of it and trains nothing. An *info*",
        "is a decision that is worth knowing, a *warning* something that figures may suffer from.",
    ]
    for code, check in sorted(CHECKS.items()):
        lines += ["", f"## {code}: {check.title}", "", f"*{check.severity}.* {check.meaning}"]
        lines += ["", f"What to do: {check.fix}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written: {PAGE}")
