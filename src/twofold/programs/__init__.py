"""One file a command, of the same name: what the command line calls and `import twofold` offers."""
