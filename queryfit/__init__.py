"""Finds what makes a PostgreSQL server slow and hands over ranked, proven fixes."""

from importlib.metadata import version

__version__ = version("queryfit")
