"""`python -m queryfit` is `queryfit`."""

from queryfit.cli.main import run

run()
