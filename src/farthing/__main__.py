"""Run the command line as python -m farthing."""

from farthing.cli.main import run

run()
