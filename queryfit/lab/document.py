"""What EXPLAIN (FORMAT JSON) answers: the cost, the indexes used, and the whole document for who asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


class _Node(msgspec.Struct, rename={"cost": "Total Cost", "schema": "Schema", "index": "Index Name", "below": "Plans"}):
    cost: float
    schema: str | None = None
    index: str | None = None
    below: list["_Node"] = []  # noqa: UP037 - msgspec reads it while the class is made


class _Explained(msgspec.Struct):
    Plan: _Node


_decoder = msgspec.json.Decoder(list[_Explained])


class Document(Mapping[str, Any]):
    """The top node of a plan, read from its JSON only when it is asked for: few of thousands are."""

    __slots__ = ("_node", "_text")

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._node: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any]:
        if self._node is None:
            self._node = msgspec.json.decode(self._text)[0]["Plan"]
        return self._node

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


def read(text: bytes) -> tuple[float, frozenset[tuple[str, str]]]:
    """Total cost, and schema and name of each index that is used; a rule can make several plans of one statement.

    Raises msgspec.DecodeError for what is no such document.
    """
    plans = _decoder.decode(text)
    used: set[tuple[str, str]] = set()
    waiting = [(plan.Plan, "") for plan in plans]
    while waiting:
        node, schema = waiting.pop()
        schema = node.schema or schema  # an index lies in its table's schema; a bitmap's scan tells the table above it
        if node.index is not None:
            used.add((schema, node.index))
        waiting += [(child, schema) for child in node.below]
    return sum(plan.Plan.cost for plan in plans), frozenset(used)
