"""Run the command line as a module: python -m farthing.cli."""

from farthing.cli.main import run

run()
