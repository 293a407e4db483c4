"""`python -m clarion`."""

from clarion.cli.main import run

run()
