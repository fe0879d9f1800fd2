"""Plans of full captures: what each looks like in one line, and what differs between two of one statement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from queryfit.history.reading import read_files

if TYPE_CHECKING:
    from queryfit.evidence.engine import duckdb
    from queryfit.evidence.store import Capture

MOST_LETTERS = 300
_COLUMNS = (
    "plan",
    "node",
    "parent",
    "node_type",
    "parent_relationship",
    "relation",
    "alias",
    "index",
    "join_type",
    "strategy",
    "plan_rows",
)
# they carry rows on and say nothing about the way to them
_SILENT = frozenset({"Gather", "Gather Merge", "Materialize", "Memoize", "Hash", "Result", "ProjectSet"})
_SCHEMA = re.compile(r'^(?:"(?:[^"]|"")*"|[^".]+)\.')
_JOINS = frozenset({"Nested Loop", "Hash Join", "Merge Join"})

StatementKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a statement as far as two of them are compared."""

    shape: str
    accesses: Mapping[str, str]  # how each table is read, by alias and table: `Index Scan orders_customer_idx`
    joins: Sequence[str]
    indexes: frozenset[str]  # as EXPLAIN names them, without a schema
    estimates: Mapping[str, float]  # rows expected of each table a loop


def plans_of(raw: duckdb.DuckDBPyConnection, capture: Capture) -> dict[StatementKey, Plan]:
    """The plans of a full capture by statement; of several for one statement the first.

    Raises QueryfitError where a file of the capture is missing.
    """
    keys: dict[str, StatementKey] = {}
    files = capture.files()
    if not {"plan", "plan_node"} <= files.keys():
        return {}
    for _, plan, database, fingerprint in sorted(
        read_files(raw, "plan", ("plan", "database", "fingerprint"), [str(files["plan"])])
    ):
        keys.setdefault(plan, (database, fingerprint))
    read = read_files(raw, "plan_node", _COLUMNS, [str(files["plan_node"])])
    nodes = sorted((row[1:] for row in read), key=lambda row: (row[0], row[1]))
    found: dict[StatementKey, Plan] = {}
    for plan, rows in groupby(nodes, key=lambda row: row[0]):
        if (key := keys.get(plan)) is not None and key not in found:
            found[key] = read_plan([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    return found


def read_plan(nodes: Sequence[Mapping[str, Any]]) -> Plan:
    """A plan from its nodes in order of appearance."""
    children: dict[int | None, list[Mapping[str, Any]]] = {}
    for node in nodes:
        children.setdefault(node["parent"], []).append(node)
    accesses: dict[str, str] = {}
    estimates: dict[str, float] = {}
    for node in nodes:
        if node["relation"] is None:
            continue
        place = _place(node, nodes)
        access = _access(node, children)
        if place in accesses and access not in accesses[place]:
            access = f"{accesses[place]} and {access}"
        accesses[place] = access
        estimates.setdefault(place, float(node["plan_rows"] or 0))
    return Plan(
        shape=_shortened(" + ".join(_shape(node, children, 0) for node in children.get(None, ()))),
        accesses=accesses,
        joins=[_join(node) for node in nodes if node["node_type"] in _JOINS],
        indexes=frozenset(str(node["index"]) for node in nodes if node["index"]),
        estimates=estimates,
    )


def difference(before: Plan, now: Plan) -> str | None:
    """What differs, in one line: `orders: Index Scan orders_customer_idx → Seq Scan`; None where nothing does."""
    parts = [
        f"{place}: {before.accesses[place]} → {now.accesses[place]}"
        for place in before.accesses
        if place in now.accesses and before.accesses[place] != now.accesses[place]
    ]
    if before.joins != now.joins:
        gone, come = _less(before.joins, now.joins), _less(now.joins, before.joins)
        if gone or come:
            parts.append(f"{', '.join(gone) or 'no join'} → {', '.join(come) or 'no join'}")
        elif not parts:
            parts.append("tables joined in another order")
    if not parts and before.shape != now.shape:
        parts.append(f"{before.shape} → {now.shape}")
    return _shortened("; ".join(parts)) if parts else None


def _less(these: Sequence[str], those: Sequence[str]) -> list[str]:
    left = list(those)
    kept = []
    for entry in these:
        if entry in left:
            left.remove(entry)
        else:
            kept.append(entry)
    return kept


def _shape(node: Mapping[str, Any], children: Mapping[int | None, Sequence[Mapping[str, Any]]], depth: int) -> str:
    """The node and what lies below it: `Limit ← Sort ← Seq Scan orders`, `Hash Join (Seq Scan a, Seq Scan b)`."""
    if depth > 60:  # noqa: PLR2004 -- a stranger's plan may be as deep as it likes
        return "…"
    below = [
        child
        for child in children.get(node["node"], ())
        if not str(node["node_type"]).startswith("Bitmap Heap") or not str(child["node_type"]).startswith("Bitmap")
    ]
    inner = [text for child in below if (text := _shape(child, children, depth + 1))]
    if node["node_type"] in _SILENT and inner:
        return inner[0] if len(inner) == 1 else f"({', '.join(inner)})"
    head = _join(node) if node["node_type"] in _JOINS else _named(node, children)
    if not inner:
        return head
    return f"{head} ← {inner[0]}" if len(inner) == 1 else f"{head} ({', '.join(inner)})"


def _named(node: Mapping[str, Any], children: Mapping[int | None, Sequence[Mapping[str, Any]]]) -> str:
    if node["relation"] is None:
        return str(node["node_type"])
    access = _access(node, children)
    return access if node["index"] or "Bitmap" in access else f"{access} {bare(node['relation'])}"


def _access(node: Mapping[str, Any], children: Mapping[int | None, Sequence[Mapping[str, Any]]]) -> str:
    """How a table is read: `Seq Scan`, `Index Scan orders_pkey`, `Bitmap Scan a_idx, b_idx`."""
    kind = str(node["node_type"]).removeprefix("Parallel ")
    if kind == "Bitmap Heap Scan":
        return f"Bitmap Scan {', '.join(_bitmaps(node, children, 0)) or 'unknown'}"
    return f"{kind} {node['index']}" if node["index"] else kind


def _bitmaps(
    node: Mapping[str, Any], children: Mapping[int | None, Sequence[Mapping[str, Any]]], depth: int
) -> Iterable[str]:
    for child in children.get(node["node"], ()) if depth < 20 else ():  # noqa: PLR2004 -- as above
        if child["index"]:
            yield str(child["index"])
        yield from _bitmaps(child, children, depth + 1)


def _join(node: Mapping[str, Any]) -> str:
    kind = node["join_type"]
    if kind in {None, "Inner"}:
        return str(node["node_type"])
    return str(node["node_type"]).replace(" Join", "") + f" {kind} Join"


def _place(node: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> str:
    """The table, with its alias where the plan reads it more than once under several."""
    name = bare(node["relation"])
    aliases = {other["alias"] for other in nodes if other["relation"] == node["relation"]}
    return f"{name} {node['alias']}" if len(aliases) > 1 and node["alias"] != name else name


def bare(relation: str) -> str:
    """The name without its schema: plans are read by people who know their tables."""
    return _SCHEMA.sub("", relation, count=1)


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
