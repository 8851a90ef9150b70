"""One file for each command, under its name."""
