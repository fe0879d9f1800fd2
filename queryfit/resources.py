"""Folders of plain files that travel with the package: the rules and the demo's SQL."""

from __future__ import annotations

from pathlib import Path

from queryfit.errors import QueryfitError


def folder(name: str) -> Path:
    """Return the folder `name` ("rules", "examples/shop"): the wheel's copy, else the checkout's.

    Looked up from this file only. An editable install can leave an old copy elsewhere in site-packages, and that one
    must never be read.
    """
    package = Path(__file__).resolve().parent
    for root in (package, package.parent):
        found = root / name
        if found.is_dir():
            return found
    raise QueryfitError(f"The folder {name!r} is missing from this installation.", hint="Reinstall queryfit.")
