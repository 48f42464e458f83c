"""`python -m twofold`: the same as `twofold`."""

from twofold.cli import main

main()
