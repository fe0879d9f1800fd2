"""Walking parse trees without recursion: a hostile text nests deeper than Python's stack allows."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from queryfit.sql.grammar import Node, ast


@cache
def node_slots(kind: Any) -> tuple[str, ...]:
    """Attributes of a node class that may hold nodes, in the order of the grammar."""
    return tuple(
        name for name, info in kind.__slots__.items() if info.c_type.endswith("*") and info.c_type != "char*"
    )  # the others are enums, numbers and names


def children(node: Node) -> Iterator[Node]:
    """Nodes directly below, lists flattened."""
    if isinstance(node, ast.MultiAssignRef) and node.colno > 1:
        return  # (a, b) = (…): each target holds the whole right side, seen with the first
    for name in node_slots(node.__class__):
        value = getattr(node, name)
        if value is not None:
            yield from flat(value)


def flat(value: Any) -> Iterator[Node]:
    """Nodes of a node, of a list of nodes, or of the lists of lists that VALUES and functions in FROM have."""
    if isinstance(value, tuple):
        for item in value:
            yield from flat(item)
    elif isinstance(value, ast.Node):
        yield value


def walk(root: Node | tuple[Any, ...] | None, *, enter_queries: bool = True) -> Iterator[Node]:
    """Every node below and including `root`, parents first, in the order of the text where the grammar keeps it.

    With `enter_queries` false a SubLink is yielded, what is in it is not.
    """
    stack = list(flat(root))[::-1]
    while stack:
        node = stack.pop()
        yield node
        if enter_queries or not isinstance(node, ast.SubLink):
            stack.extend(list(children(node))[::-1])
