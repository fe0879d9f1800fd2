"""What the writes of a workload pay for an index.

An index gets an entry for every row that is inserted, and for every updated row whose new version is not on the page of
the old one (not HOT). An update is HOT only while no index holds a column that it sets, in its keys, expressions,
INCLUDE or predicate: the first index on such a column makes the updates pay for all indexes of the table. Entries of
deleted rows and old versions are taken out by VACUUM.

One entry costs, in PostgreSQL's own units (costsize.c, btcostestimate): the descent, cpu_operator_cost a comparison and
50 of them a level, as for a search; cpu_index_tuple_cost for the tuple; a random page for the leaf that is read and a
sequential one for its writing back, both as often as a write meets a leaf that none just before it has touched; and the
WAL as sequential pages. In time it costs what tests/bench/upkeep.py measured on PostgreSQL 18 (see `_MS`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pglast
from pglast import ast

from queryfit.advise.sizes.estimate import size_of
from queryfit.advise.sizes.layout import aligned, widths
from queryfit.advise.sizes.predicate import restriction
from queryfit.advise.sizes.sample import columns_of
from queryfit.lab.planner import Index
from queryfit.lab.table_facts import PAGE_BYTES, ColumnFacts, TableFacts, unquoted

if TYPE_CHECKING:
    from queryfit.advise.model import Workload
    from queryfit.evidence.session import Session

TIME = "ms per day"
_OPERATOR, _TUPLE, _RANDOM, _SEQUENTIAL = 0.0025, 0.005, 4.0, 1.0  # cost units: PostgreSQL's defaults
_LEVEL_OPERATORS = 50  # DEFAULT_PAGE_CPU_MULTIPLIER
_WAL_HEADER = 56  # bytes of a record that inserts into a leaf, beside the tuple
_IN_ORDER = 0.95  # of the rows: new keys go to the right end
_BURST_ROWS = 1000.0  # writes near each other, of which several may meet one leaf
_FEW_ENTRIES = 0.02  # of a BRIN index: most rows change no range


@dataclass(frozen=True, slots=True)
class _Milliseconds:
    """Measured processor time of one entry: what any takes, what each key and level adds, and bytes and terms."""

    base: float = 0.0009
    level: float = 0.00065  # a level of the tree, when keys come in no order
    ordered: float = 0.0001  # when they come in order, and the right end is at hand
    key: float = 0.0002  # each further key, compared and copied
    text: float = 0.0015  # a text or an expression among the keys
    term: float = 0.0004  # an entry of GIN for one word, trigram or element
    wal_byte: float = 5e-6  # 200 MB/s
    vacuum: float = 0.0008  # an entry taken out; of GIN a term's
    vacuum_term: float = 0.0003


_MS = _Milliseconds()


@dataclass(frozen=True, slots=True)
class Writes:
    """Rows of one table that are written: a day, where the workload's unit is ms per day, else in one run of it."""

    inserted_rows: float = 0.0
    updated_rows: float = 0.0
    hot_updated_rows: float = 0.0  # of the updated ones, those that no index hears of today
    deleted_rows: float = 0.0
    set_rows: Mapping[str, float] = field(default_factory=dict)  # rows whose update sets the column, by unquoted name
    unit: str = "cost"  # or `ms per day`


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Rows that an index is written for, and what that costs in the unit of the writes."""

    entries: float  # new ones
    removed: float  # old ones
    lost_rows: float  # updates that stop being HOT
    cost: float


def upkeep_of(index: Index, table: TableFacts, writes: Writes) -> float:
    """What maintaining the index costs, in the unit of `writes`; for one that exists, what dropping it saves."""
    return upkeep(index, table, writes).cost


def upkeep(index: Index, table: TableFacts, writes: Writes) -> Upkeep:
    """The same with the counts of rows that it comes from."""
    if not writes.inserted_rows and not writes.updated_rows and not writes.deleted_rows:
        return Upkeep(0.0, 0.0, 0.0, 0.0)
    kept = restriction(index.predicate, table)
    share = kept.share if kept else 1.0
    plain = max(0.0, writes.updated_rows - writes.hot_updated_rows)
    lost = 0.0 if index.access_method == "brin" else _lost_rows(index, table, writes)
    entries = (writes.inserted_rows + plain + lost) * share
    removed = (writes.deleted_rows + plain + lost) * share
    # the other indexes hear of these rows only because of this one
    others = max(0, len(table.index_definitions) - (1 if _is_there(index, table) else 0))
    for_others = lost * others * _typical_entry(table, writes.unit)
    return Upkeep(
        entries, removed, lost,
        entries * entry_cost(index, table, writes.unit) + removed * _removal(index, table, writes.unit) + for_others,
    )  # fmt: skip


def _is_there(index: Index, table: TableFacts) -> bool:
    keys = f"({', '.join(key.sql for key in index.keys)})".lower()
    return any(keys in definition.lower() for definition in table.index_definitions)


def _lost_rows(index: Index, table: TableFacts, writes: Writes) -> float:
    """HOT updates that set a column of the index; those of a column that has one already are none."""
    try:
        names = columns_of(index, table)
    except (pglast.parser.ParseError, ValueError):
        return 0.0
    indexed = _indexed(table, beside=index)
    setting = sum(rows for name, rows in writes.set_rows.items() if name in names and name not in indexed)
    return min(writes.hot_updated_rows, setting)


def _indexed(table: TableFacts, *, beside: Index) -> set[str]:
    """Columns that indexes of the table hold, this one and BRIN aside."""
    found: set[str] = set()
    for definition in table.index_definitions:
        if " USING brin " in definition or _is_there(beside, _only(table, definition)):
            continue
        inside = definition.partition(" USING ")[2]
        found |= {name for name in table.columns if _mentions(inside, name)}
    return found


def _only(table: TableFacts, definition: str) -> TableFacts:
    return TableFacts(table.relation, table.rows, table.pages, table.columns, index_definitions=(definition,))


def _mentions(text: str, name: str) -> bool:
    words = "".join(character if character.isalnum() or character in "_$" else " " for character in text).split()
    return name in words or f'"{name}"' in text


def entry_cost(index: Index, table: TableFacts, unit: str) -> float:
    """What one new entry costs, in planner cost or ms."""
    if index.access_method == "gin":
        terms = _terms(index, table)
        return terms * (_MS.term if unit == TIME else _TUPLE + _OPERATOR * 20 + (_RANDOM + _SEQUENTIAL) * 0.1)
    if index.access_method == "brin":
        return _MS.base / 4 if unit == TIME else _OPERATOR * 2 + (_RANDOM + _SEQUENTIAL) * _FEW_ENTRIES
    keys = [
        table.columns[name]
        for key in index.keys
        if key.is_column and (name := unquoted(key.expression)) in table.columns
    ]
    held = [*keys, *(table.columns[name] for text in index.included if (name := unquoted(text)) in table.columns)]
    width = aligned(8 + sum(_mean_width(column) for column in held) + 8 * (len(index.keys) - len(keys)))
    size = size_of(index, table)
    pages = size.size_bytes / PAGE_BYTES if size else max(1.0, table.rows * (width + 4) / PAGE_BYTES)
    height = size.height if size and size.height else max(1, math.ceil(math.log(max(2.0, pages), 250)))
    return _entry(keys, len(index.keys), _Shape(width, pages, height, table.rows), unit)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where an entry of a tree goes: bytes of it, pages and levels of the tree, rows of the table."""

    width: float
    pages: float
    height: int
    rows: float


def _entry(keys: Sequence[ColumnFacts], count: int, shape: _Shape, unit: str) -> float:
    """One entry of `count` keys, of which these are plain columns."""
    width, pages, height, rows = shape.width, shape.pages, shape.height, shape.rows
    is_ordered = bool(keys) and keys[0].order >= _IN_ORDER
    per_page = max(1.0, rows / pages)
    # of a burst of writes to leaves in no order, these meet one that is not touched yet
    touched = 1.0 / per_page if is_ordered else pages * -math.expm1(-_BURST_ROWS / pages) / _BURST_ROWS
    wal = width + _WAL_HEADER
    if unit == TIME:
        texts = sum(column.category == "S" for column in keys) + (count - len(keys))
        descent = _MS.ordered if is_ordered else _MS.level * (height + 1)
        return _MS.base + descent + _MS.key * (count - 1) + _MS.text * min(texts, 1) + _MS.wal_byte * wal
    descent = _OPERATOR * (math.ceil(math.log2(max(2.0, rows))) + (height + 1) * _LEVEL_OPERATORS)
    return descent + _TUPLE + touched * (_RANDOM + _SEQUENTIAL) + wal / PAGE_BYTES * _SEQUENTIAL


def _typical_entry(table: TableFacts, unit: str) -> float:
    """One of an index with a key of eight bytes in no order."""
    pages = max(1.0, table.rows / 366)
    height = max(1, math.ceil(math.log(max(2.0, pages), 280)))
    return _entry((), 1, _Shape(16, pages, height, table.rows), unit)


def _removal(index: Index, table: TableFacts, unit: str) -> float:
    """What it costs VACUUM to take one entry out."""
    if index.access_method == "brin":
        return 0.0
    if unit != TIME:
        return _TUPLE + _OPERATOR
    return _MS.vacuum_term * _terms(index, table) if index.access_method == "gin" else _MS.vacuum


def _mean_width(column: ColumnFacts) -> int:
    known = [width for width in widths(column) if width is not None]
    return round(sum(known) / len(known)) if known else 0


def _terms(index: Index, table: TableFacts) -> float:
    """Entries of GIN for one row: elements, trigrams of a text, words of a document."""
    count = 0.0
    for key in index.keys:
        column = table.columns.get(unquoted(key.expression)) if key.is_column else None
        width = _mean_width(column) if column else 64
        if column is not None and column.element_count:
            count += column.element_count
        elif "trgm" in (key.operator_class or ""):
            count += width + 1
        else:
            count += max(2.0, width / 8)
    return max(1.0, count)


def writes_of(session: Session, database: str) -> dict[str, Writes]:
    """Writes a day by table (schema.name), from the counters of a capture and the statements that set columns.

    Counters that run for less than a day say nothing of one, the first load of a table is no rate: then the statements'
    own rates count. Empty where these are unknown, too. A partitioned table has the sum of its partitions.
    """
    found: dict[str, list[float]] = {}
    for row in session.query(_COUNTED, {"database": database}).mappings():
        for relation in {row["relation"], row["root"]}:
            sums = found.setdefault(relation, [0.0, 0.0, 0.0, 0.0])
            for place, name in enumerate(("inserted", "updated", "hot_updated", "deleted")):
                sums[place] += float(row[f"{name}_rows"] or 0)
    set_rows: dict[str, dict[str, float]] = {}
    stated: dict[str, list[float]] = {}
    for row in session.query(_STATED, {"database": database}).mappings():
        if row["role"] == "set":
            set_rows.setdefault(row["relation"], {})[row["column_name"]] = float(row["rows"])
        elif row["role"] in {"insert", "update"}:
            stated.setdefault(row["relation"], [0.0, 0.0, 0.0, 0.0])[row["role"] == "update"] = float(row["rows"])
    for relation, sums in stated.items():
        if not any(found.get(relation, ())):  # no counters: half of the updates may find room on their page
            found[relation] = [sums[0], sums[1], sums[1] / 2, 0.0]
    return {
        relation: _writes(sums, _within(set_rows.get(relation, {}), sums[1]), TIME)
        for relation, sums in found.items()
        if any(sums)
    }


def _within(rows: Mapping[str, float], updated: float) -> dict[str, float]:
    return {name: min(count, updated) for name, count in rows.items()}


_COUNTED = """
    select
        relation.relation,
        relation.root,
        inserted_rows / window_days as inserted_rows,
        updated_rows / window_days as updated_rows,
        hot_updated_rows / window_days as hot_updated_rows,
        deleted_rows / window_days as deleted_rows
    from relation_counter
    join relation using (database, relation)
    join counter_window using (database)
    where relation_counter.database = $database
        and window_days >= 1 -- in less, the first load of a table would read as a rate
"""

# One row a column that updates set, and one (column null) for all inserts and all updates of a table.
_STATED = """
    with written as (
        select distinct reference.relation, reference.column_name, reference.role, workload.kind, workload.fingerprint,
            workload.calls_per_day * workload.rows_per_call as rows
        from reference
        join workload using (database, fingerprint)
        where reference.database = $database and reference.role in ('set', 'insert')
    ),
    whole as (
        select distinct relation, kind, fingerprint, rows from written where kind in ('insert', 'update')
    )
    select relation, column_name, 'set' as role, sum(rows) as rows
    from written where role = 'set' and rows is not null group by relation, column_name
    union all
    select relation, null, kind, sum(rows) from whole where rows is not null group by relation, kind
"""


def writes_in(
    workload: Workload, tables: Mapping[str, TableFacts], plans: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Writes]:
    """Writes in one run of a workload that comes as statements, by table: INSERT, UPDATE and DELETE with their weights.

    `plans` are plans (the top node, as EXPLAIN prints it in JSON) by fingerprint: they say how many rows. Without one a
    statement writes one row, or as many as it has VALUES.
    """
    sums: dict[str, list[float]] = {}
    set_rows: dict[str, dict[str, float]] = {}
    for statement in workload.statements:
        try:
            nodes = [raw.stmt for raw in pglast.parse_sql(statement.text)]
        except pglast.parser.ParseError:
            continue
        path = statement.queries[0].search_path if statement.queries else ("public",)
        for node in nodes:
            relation = _target(node, tables, path)
            if relation is None:
                continue
            rows = statement.weight * _rows_written(node, (plans or {}).get(statement.fingerprint))
            place = {ast.InsertStmt: 0, ast.UpdateStmt: 1}.get(type(node), 3)
            sums.setdefault(relation, [0.0, 0.0, 0.0, 0.0])[place] += rows
            for name in _set_columns(node):
                held = set_rows.setdefault(relation, {})
                held[name] = held.get(name, 0.0) + rows
    found = {}
    for relation, counts in sums.items():
        indexed = _indexed(tables[relation], beside=Index(relation, ()))
        touched = max((rows for name, rows in set_rows.get(relation, {}).items() if name in indexed), default=0.0)
        counts[2] = max(0.0, counts[1] - touched)
        found[relation] = _writes(counts, set_rows.get(relation, {}), workload.unit)
    return found


def _writes(sums: Sequence[float], set_rows: Mapping[str, float], unit: str) -> Writes:
    inserted, updated, hot, deleted = sums
    return Writes(inserted, updated, hot, deleted, set_rows, unit)


def _target(node: Any, tables: Mapping[str, TableFacts], path: Iterable[str]) -> str | None:
    if not isinstance(node, (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt)) or node.relation is None:
        return None
    for schema in [node.relation.schemaname] if node.relation.schemaname else path:
        for name in tables:
            parts = [unquoted(part) for part in name.split(".", 1)]
            if parts == [schema, node.relation.relname]:
                return name
    return None


def _set_columns(node: Any) -> list[str]:
    return [str(target.name) for target in node.targetList or ()] if isinstance(node, ast.UpdateStmt) else []


def _rows_written(node: Any, plan: Mapping[str, Any] | None) -> float:
    if plan and plan.get("Node Type") == "ModifyTable":
        return float(sum(child.get("Plan Rows", 0.0) for child in plan.get("Plans", ()) if _is_outer(child)))
    values = getattr(getattr(node, "selectStmt", None), "valuesLists", None)
    return float(len(values)) if values else 1.0


def _is_outer(child: Mapping[str, Any]) -> bool:
    return child.get("Parent Relationship") in {"Outer", "Member", None}
