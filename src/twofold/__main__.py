"""`python -m twofold`: the same as `twofold`."""

from twofold.cli.main import main

main()
