"""YAML as it is needed here: mappings, lists and scalars, each string such that every version of YAML reads it back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

_BARE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_NOT_STRINGS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}

Value = bool | int | str | Mapping[str, "Value"] | Sequence["Value"] | None


def document(value: Mapping[str, Value]) -> str:
    """One document. Strings must be without control characters."""
    return "\n".join(_lines(value, 0)) + "\n"


def _lines(value: Value, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _entry(f"{pad}{_scalar(key)}:", inner, depth)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            if isinstance(item, Mapping) and item:
                first, *rest = _lines(item, depth + 1)
                yield f"{pad}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{pad}- {_flow(item)}"


def _entry(head: str, inner: Value, depth: int) -> Iterator[str]:
    is_nested = isinstance(inner, Mapping) or (isinstance(inner, Sequence) and not isinstance(inner, str))
    if not is_nested or not inner:
        yield f"{head} {_flow(inner)}"
        return
    yield head
    yield from _lines(inner, depth + 1)


def _flow(value: Value) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_flow(item) for item in value)}]"
    return _scalar(value)


def _scalar(value: bool | int | str | None) -> str:
    if isinstance(value, str):
        is_bare = bool(_BARE.fullmatch(value)) and value.lower() not in _NOT_STRINGS
        return value if is_bare else json.dumps(value, ensure_ascii=False)  # as YAML's double-quoted strings
    return json.dumps(value)
