"""What all sections of the configuration are read with: types are checked, unknown keys refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from queryfit.errors import QueryfitError


def unknown_key(where: str, key: str, known: Collection[str]) -> QueryfitError:
    """The error for a key that is not known."""
    return QueryfitError(f"{where} holds {key!r}, which is not known", hint=f"known are {', '.join(sorted(known))}")


def check_keys(where: str, data: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise QueryfitError for the first key that is not known."""
    if unknown := sorted(data.keys() - set(known)):
        raise unknown_key(where, unknown[0], known)


def of_type(path: Path, data: Mapping[str, Any], key: str, kind: type) -> Any:
    """The value of a key, None where it is not set. Raises QueryfitError where it is of another type."""
    value = data.get(key)
    is_of_kind = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))  # true is an int, too
    if value is not None and not is_of_kind:
        raise QueryfitError(f"{path}: {key} has to be a {kind.__name__}, not {value!r}")
    return value


def strings(path: Path, data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of strings, empty where it is not set; one string is a list of one. Raises QueryfitError."""
    value = data.get(key)
    listed = [value] if isinstance(value, str) else value or []
    if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
        raise QueryfitError(f"{path}: {key} has to be a list of strings, not {value!r}")
    return tuple(listed)
