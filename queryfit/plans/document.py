"""An EXPLAIN document as a tree of nodes with typed properties, whatever format it was printed in.

The structure is that of FORMAT JSON: YAML and XML print the same names, and text can be brought into it. Documents
come from files and servers, so nothing in them is believed before it is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from queryfit.errors import QueryfitError

MAX_NODES = 100_000  # plans over thousands of partitions have some ten thousand
MAX_DEPTH = 2_000
HINT = "hand over the whole output of EXPLAIN (FORMAT JSON), with COSTS left on"


@dataclass(slots=True, eq=False)
class Node:
    """One node: its properties as EXPLAIN names them, its place (`number` in order of appearance), its children."""

    number: int
    depth: int
    parent: Node | None
    properties: Mapping[str, Any]
    children: list[Node] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        """A property that is a text; None where there is none."""
        value = self.properties.get(name)
        if value is None or isinstance(value, str):
            return value
        raise _damaged(f"{name!r} is not a text")

    def number_of(self, name: str) -> float | None:
        """A property that is a finite number; None where there is none."""
        value = self.properties.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _damaged(f"{name!r} is not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise _damaged(f"{name!r} is not a finite number")
        return number

    def needed_number(self, name: str) -> float:
        """Like `number_of` for a property that every node has."""
        value = self.number_of(name)
        if value is None:
            raise _damaged(f"a node has no {name!r}")
        return value

    def flag(self, name: str) -> bool:
        """A property that is true or false; False where there is none."""
        value = self.properties.get(name, False)
        if not isinstance(value, bool):
            raise _damaged(f"{name!r} is neither true nor false")
        return value

    def texts(self, name: str) -> list[str]:
        """A property that is a list of texts; empty where there is none."""
        value = self.properties.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _damaged(f"{name!r} is not a list of texts")
        return value


def read_document(document: Any) -> list[Node]:
    """The nodes of an EXPLAIN document in order of appearance, parents before their children.

    `document` is what FORMAT JSON parses to: a list of objects with a `Plan` each (several when a rule rewrites one
    statement into more), or one such object. Raises QueryfitError for anything else.
    """
    plans = document if isinstance(document, list) else [document]
    tops = [plan["Plan"] for plan in plans if isinstance(plan, Mapping) and "Plan" in plan]
    if not tops:
        raise _damaged("it holds no plan")
    nodes: list[Node] = []
    waiting: list[tuple[Any, Node | None]] = [(top, None) for top in reversed(tops)]
    while waiting:
        properties, parent = waiting.pop()
        if not isinstance(properties, Mapping):
            raise _damaged("a node is not an object")
        node = Node(len(nodes), 0 if parent is None else parent.depth + 1, parent, properties)
        if node.depth >= MAX_DEPTH or node.number >= MAX_NODES:
            raise QueryfitError(
                f"the plan is too large to read: over {MAX_DEPTH:,} levels or {MAX_NODES:,} nodes", hint=HINT
            )
        nodes.append(node)
        if parent is not None:
            parent.children.append(node)
        below = properties.get("Plans", [])
        if not isinstance(below, list):
            raise _damaged("'Plans' is not a list")
        waiting += [(child, node) for child in reversed(below)]
    return nodes


def _damaged(reason: str) -> QueryfitError:
    return QueryfitError(f"this is not a plan of PostgreSQL: {reason}", hint=HINT)
