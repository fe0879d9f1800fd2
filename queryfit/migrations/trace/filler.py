"""Puts some rows into empty tables, so that rewrites, scans and violations show.

Values follow types, keys, references and CHECK constraints as far as they go: every column gets a short list of
expressions over the row's number `g`, a constraint that refuses the first ones is tried with the others. Rows are
written as the role of the migration: defaults and constraints are a stranger's code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any

import psycopg

from queryfit.migrations.trace.look import FIRST_USER_OID
from queryfit.migrations.trace.observed import Failure
from queryfit.migrations.trace.values import BY_TYPE, TEXT
from queryfit.migrations.trace.wire import IDLE, Session

ROWS = 300
MOST_COMBINATIONS = 200
MOST_ROUNDS = 6
_HEADER = 4  # what PostgreSQL adds to a length or precision in a type modifier

_COLUMNS = """
select a.attrelid::int8, a.attnum::int4, pg_catalog.quote_ident(a.attname),
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       t.typname::text, t.typtype::text, t.typcategory::text, a.atttypmod,
       coalesce(e.typname, b.typname)::text,
       a.attnotnull or coalesce(t.typnotnull, false), a.attidentity::text, a.attgenerated::text, a.atthasdef,
       (select pg_catalog.array_agg(pg_catalog.quote_literal(v.enumlabel) order by v.enumsortorder)
        from pg_catalog.pg_enum as v
        where v.enumtypid = coalesce(nullif(t.typelem, 0), nullif(t.typbasetype, 0), t.oid)),
       (select pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(d.oid), ' ')
        from pg_catalog.pg_constraint as d where d.contypid = t.oid and d.contype = 'c')
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
join pg_catalog.pg_type as t on t.oid = a.atttypid
left join pg_catalog.pg_type as e on e.oid = t.typelem and t.typcategory = 'A'
left join pg_catalog.pg_type as b on b.oid = t.typbasetype and t.typtype = 'd'
where c.oid >= {first} and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
"""
_TABLES = """
select c.oid::int8, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), c.relkind::text,
       pg_catalog.pg_get_expr(c.relpartbound, c.oid),
       (select i.inhparent::int8 from pg_catalog.pg_inherits as i where i.inhrelid = c.oid and c.relispartition),
       case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end
from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.oid >= {first} and c.relkind in ('r', 'p') and c.relpersistence <> 't'
order by c.oid
"""
_CONSTRAINTS = """
select conrelid::int8, contype::text, conname::text, conkey::int4[], confrelid::int8, confkey::int4[],
       case when contype = 'c' then pg_catalog.pg_get_constraintdef(oid) end
from pg_catalog.pg_constraint where conrelid >= {first} and contype in ('c', 'f', 'p', 'u') order by oid
"""
_TRIGGERS = """
select pg_catalog.quote_ident(tgname) from pg_catalog.pg_trigger
where tgrelid = {table} and not tgisinternal and tgenabled = 'O'
"""
_LITERAL = re.compile(r"'((?:[^']|'')*)'|(?<![\w.'])(-?\d+(?:\.\d+)?)(?![\w.'])")
_BOUND = re.compile(r"FROM \((.*)\) TO \((.*)\)$|IN \((.*)\)$", re.DOTALL)
_NAME_IN_KEY = re.compile(r'^\s*("(?:[^"]|"")+"|\w+)')


@dataclass(slots=True)
class _Column:
    number: int
    name: str
    type: str
    choices: list[str]
    is_required: bool
    is_given: bool  # by the server: identity, generated, or a default on what we cannot make up
    comes_from: str | None = None  # expression that reads a referenced key


@dataclass(slots=True)
class _Table:
    oid: int
    name: str
    kind: str
    bound: str | None
    parent: int | None
    key: str | None
    columns: dict[int, _Column] = field(default_factory=dict)
    checks: list[tuple[str, list[int], str]] = field(default_factory=list)  # name, columns, definition
    references: list[tuple[list[int], int, list[int]]] = field(default_factory=list)


def fill(session: Session, *, first_oid: int = FIRST_USER_OID, rows: int = ROWS) -> dict[str, str]:
    """Fill every empty table; returns, by the table's name, why one stayed empty. The session must be idle."""
    assert session.state == IDLE
    tables = _read(session, first_oid)
    unfilled: dict[str, str] = {}
    for table in _in_order(tables):
        if table.kind == "p" and any(other.parent == table.oid for other in tables.values()):
            if "hash" not in (table.key or "").lower()[:4]:
                continue  # its partitions get rows of their own
        elif table.kind == "p":
            unfilled[table.name] = "it has no partitions"
            continue
        try:
            has_rows = session.rows(f"select exists (select from only {table.name})")[0][0]
        except psycopg.Error as error:  # another role owns it, or a policy of the migrations' fails
            unfilled[table.name] = str(error).partition("\n")[0]
            continue
        if has_rows and table.kind == "r":
            continue
        if table.parent is not None and "hash" in (tables[table.parent].key or "").lower()[:4]:
            continue
        reason = _fill_one(session, tables, table, rows)
        if reason is not None:
            unfilled[table.name] = reason
    return unfilled


def _read(session: Session, first_oid: int) -> dict[int, _Table]:
    tables = {row[0]: _Table(*row) for row in session.rows(_TABLES.format(first=first_oid))}
    for row in session.rows(_COLUMNS.format(first=first_oid)):
        if row[0] in tables:
            tables[row[0]].columns[row[1]] = _column(row)
    for relation, kind, name, columns, referenced, referenced_columns, definition in session.rows(
        _CONSTRAINTS.format(first=first_oid)
    ):
        table = tables.get(relation)
        if table is None:
            continue
        if kind == "c":
            table.checks.append((name, columns or [], definition))
        elif kind == "f":
            table.references.append((columns, referenced, referenced_columns))
        elif kind == "p":
            for number in columns:
                table.columns[number].is_required = True
    return tables


def _column(row: Sequence[Any]) -> _Column:
    (
        _,
        number,
        name,
        full_type,
        type_name,
        type_type,
        category,
        typmod,
        inner,
        required,
        identity,
        generated,
        has_default,
        labels,
        domain,
    ) = row
    base = inner if type_type == "d" and inner else type_name
    if labels:
        one = [f"(array[{', '.join(labels)}])[1 + g % {len(labels)}]"]
        choices = [f"array[{one[0]}]::text[]"] if category == "A" else one
    elif category == "A":
        choices = [f"array[{choice}]" for choice in BY_TYPE.get(inner or "", TEXT)] + ["'{}'"]
    elif base == "vector":
        width = max(typmod, 1)
        choices = [f"array_fill(g::float8, array[{width}])"]
    else:
        choices = list(BY_TYPE.get(base, TEXT))
    if base in {"varchar", "bpchar"} and typmod > _HEADER:
        width = typmod - _HEADER
        choices = [f"right(g::text, {width})", *(f"left({choice}, {width})" for choice in choices)]
    if base in {"bit", "varbit"}:
        choices = [f"g::int::bit({max(typmod, 1)})"]
    if base == "numeric" and typmod > _HEADER:
        # precision in the upper half, scale in the lower eleven bits
        whole = min(max(((typmod - _HEADER) >> 16) - ((typmod - _HEADER) & 0x7FF), 0), 15)
        choices = [f"g % {10**whole}", *choices]
    if domain:
        choices = [*_literals(domain), *choices, "1", "0"]
    return _Column(
        number, name, full_type, choices, required, bool(identity or generated) or (has_default and type_type in "cp")
    )


def _literals(definition: str) -> list[str]:
    """Expressions for the constants of a CHECK constraint, and for numbers their neighbours."""
    found: list[str] = []
    for match in _LITERAL.finditer(definition):
        if match[1] is not None:
            found.append(f"'{match[1]}'")
        else:
            found += [match[2], f"({match[2]}) + 1", f"({match[2]}) - 1"]
    return list(dict.fromkeys(found))


def _in_order(tables: dict[int, _Table]) -> list[_Table]:
    """Referenced tables first; cycles are cut where they are met."""
    ordered: dict[int, _Table] = {}
    waiting = list(tables)
    for root in waiting:
        stack = [(root, False)]
        on_way: set[int] = set()
        while stack:
            oid, is_done = stack.pop()
            if is_done:
                ordered.setdefault(oid, tables[oid])
                continue
            if oid in ordered or oid in on_way or oid not in tables:
                continue
            on_way.add(oid)
            stack.append((oid, True))
            stack += [(referenced, False) for _, referenced, _ in tables[oid].references if referenced != oid]
            stack += [(other.oid, False) for other in tables.values() if other.parent == oid]
    return list(ordered.values())


def _fill_one(session: Session, tables: dict[int, _Table], table: _Table, rows: int) -> str | None:
    """Insert; where a CHECK constraint refuses, with other values. Returns the last refusal."""
    chosen = {number: column.choices[0] for number, column in table.columns.items() if not column.is_given}
    _keep_bound(tables, table, chosen)
    failure: Failure | None = None
    for _ in range(MOST_ROUNDS):
        failure = _insert(session, tables, table, chosen, rows)
        if failure is None:
            return None
        if failure.sqlstate != "23514" or failure.constraint is None:
            break
        check = next((check for check in table.checks if check[0] == failure.constraint), None)
        if check is None or not _satisfy(session, table, check, chosen):
            break
    # less is better than nothing: what may be null is null, then without triggers
    sparse = {
        number: expression if table.columns[number].is_required else "null" for number, expression in chosen.items()
    }
    for attempt, is_quiet in ((sparse, False), (chosen, True), (sparse, True)):
        failure = _insert(session, tables, table, attempt, rows, is_quiet=is_quiet)
        if failure is None:
            return None
    return failure.message if failure is not None else None


def _keep_bound(tables: dict[int, _Table], table: _Table, chosen: dict[int, str]) -> None:
    """Choose key values within the bounds of the partition and of those above it."""
    own: _Table | None = table
    while own is not None and own.parent in tables:
        parent = tables[own.parent] if own.parent is not None else None
        if parent is None:
            return
        bound = _BOUND.search(own.bound or "")
        names = _NAME_IN_KEY.match((parent.key or "").partition("(")[2])
        column = next((c for c in table.columns.values() if names and c.name == names[1]), None)
        if bound is not None and column is not None and column.number in chosen:
            low, high, listed = (_first_value(part) for part in bound.groups())
            if listed is not None:
                chosen[column.number] = listed
            elif low is not None and low not in {"MINVALUE", "MAXVALUE"}:
                chosen[column.number] = low
            elif high is not None and high != "MAXVALUE":
                less = (
                    "1"
                    if column.type.split("(")[0] in {"smallint", "integer", "bigint", "numeric"}
                    else "interval '1 hour'"
                )
                chosen[column.number] = f"{high}::{column.type} - {less}"
        own = parent


def _first_value(text: str | None) -> str | None:
    match = re.match(r"'(?:[^']|'')*'|[^,\s]+", text or "")
    return match[0] if match else None


def _satisfy(session: Session, table: _Table, check: tuple[str, list[int], str], chosen: dict[int, str]) -> bool:
    """Find other expressions for the columns of a CHECK constraint; only what it accepts for three rows counts."""
    _, numbers, definition = check
    numbers = [number for number in numbers if number in chosen]
    condition = re.sub(r"\)\s*(NO INHERIT|NOT VALID|NOT ENFORCED)\s*$", ")", definition[len("CHECK ") :])
    literals = _literals(definition)
    pools = []
    for number in numbers:
        column = table.columns[number]
        pool = [*column.choices, *literals, "1", "0", "100"]
        pools.append(pool if column.is_required else [*pool, "null"])
    for combination in islice(product(*pools), MOST_COMBINATIONS):
        if [chosen[number] for number in numbers] == list(combination):
            continue
        given = {**chosen, **dict(zip(numbers, combination, strict=True))}
        columns = ", ".join(
            f"({given.get(c.number, 'null')})::{c.type} as {c.name}"
            for c in table.columns.values()
            if c.number in given
        )
        query = f"select bool_and({condition}) from (select {columns} from generate_series(1, 3) as g) as t"
        if session.run(f"do $queryfit$ begin assert ({query}); end $queryfit$") is None:
            chosen.update(zip(numbers, combination, strict=True))
            return True
    return False


def _insert(
    session: Session,
    tables: dict[int, _Table],
    table: _Table,
    chosen: dict[int, str],
    rows: int,
    *,
    is_quiet: bool = False,
) -> Failure | None:
    """Insert rows in one transaction; `is_quiet` without the triggers of the table."""
    columns = [column for column in table.columns.values() if column.number in chosen]
    values, joins = _sources(tables, table, chosen, rows)
    target = ", ".join(column.name for column in columns)
    source = ", ".join(values[column.number] for column in columns)
    insert = (
        f"insert into {table.name} ({target}) select {source} from generate_series(1, {rows}) as g {' '.join(joins)} "
        "on conflict do nothing"
        if columns
        else f"insert into {table.name} default values"
    )
    statements: Iterable[str] = [insert]
    if is_quiet:
        triggers = [row[0] for row in session.rows(_TRIGGERS.format(table=table.oid))]
        statements = [
            *(f"alter table {table.name} disable trigger {name}" for name in triggers),
            insert,
            "set constraints all immediate",  # no event may wait when the triggers come back
            *(f"alter table {table.name} enable trigger {name}" for name in triggers),
        ]
    session.run("begin")
    for statement in statements:
        failure = session.run(statement)
        if failure is not None:
            if not session.is_lost:
                session.run("rollback")
            return failure
    return session.run("commit")


def _sources(
    tables: dict[int, _Table], table: _Table, chosen: dict[int, str], rows: int
) -> tuple[dict[int, str], list[str]]:
    """An expression for every column, and the joins that bring keys of referenced tables."""
    values = {number: f"({expression})::{table.columns[number].type}" for number, expression in chosen.items()}
    joins: list[str] = []
    for place, (numbers, referenced, keys) in enumerate(table.references):
        parent = tables.get(referenced)
        if parent is None or any(number not in values for number in numbers):
            continue
        if referenced == table.oid:  # the first row of a table that refers to itself has only itself
            for number in numbers:
                if not table.columns[number].is_required:
                    values[number] = f"null::{table.columns[number].type}"
            continue
        names = ", ".join(f"{parent.columns[key].name} as k{i}" for i, key in enumerate(keys))
        filled = " and ".join(f"{parent.columns[key].name} is not null" for key in keys)
        joins.append(
            f"left join (select {names}, row_number() over () - 1 as n "
            f"from (select * from {parent.name} where {filled} limit {rows}) as p) as r{place} "
            f"on r{place}.n = (g - 1) % greatest((select least(count(*), {rows}) from {parent.name} where {filled}), 1)"
        )
        for i, number in enumerate(numbers):
            values[number] = f"r{place}.k{i}::{table.columns[number].type}"
    return values, joins
