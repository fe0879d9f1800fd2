"""Finds what makes a PostgreSQL server slow and hands over ranked, proven fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    """Read the version only when it is asked for: the search through installed packages costs every start."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("queryfit")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
