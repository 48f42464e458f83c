"""The command line: arguments and help, no torch."""
