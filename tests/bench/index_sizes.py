"""How well sizes of indexes are foretold: candidates drawn at random, estimated from a capture, built and rolled back.

    QUERYFIT_BENCH_TPC_18=DSN [QUERYFIT_BENCH_TPC_15=DSN] python -m tests.bench.index_sizes [CANDIDATES] [SEED]

The servers hold the databases tpch and tpcds (`python -m tests.bench.tpc`), the older one with HypoPG, whose estimates
stand beside. A database `skewed` of made-up tables (skew, nulls, wide texts, uuids, numerics, documents) is created
where it is missing. Every index is built in a transaction that is rolled back.
"""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from tabulate import tabulate

from queryfit.advise.sizes.estimate import tables_of
from queryfit.advise.sizes.sample import sizes_of
from queryfit.evidence.session import open_session
from queryfit.evidence.store import open_capture
from queryfit.lab.planner import Index, Key, Size
from queryfit.lab.table_facts import ColumnFacts, TableFacts
from queryfit.sql.names import quote_identifier, quote_literal

TOLERANCE = 0.15
LEAST_ROWS = 1000
MOST_ROWS_OTHERWISE = 500_000  # of a table whose GIN, GiST and SP-GiST indexes are built
LONG_CHAIN = 50_000  # equal values in one bucket of a hash index: building it takes their square
SKEWED = """
    create extension if not exists pg_trgm;
    create type mood as enum ('sad', 'ok', 'happy');
    create table event (
        id bigint primary key, user_id int not null, kind text not null, at timestamptz not null, token uuid not null,
        amount numeric(12, 2), note text, deleted_at timestamptz, is_done boolean not null, state mood, tags text[],
        document jsonb, address inet, body text, score float8, small smallint, code char(8), raw bytea
    );
    insert into event
    select
        n,
        (power(random(), 4) * 20000)::int,
        (array['view', 'click', 'buy', 'refund', 'sign-up', 'x'])[1 + floor(power(random(), 3) * 6)],
        timestamptz '2024-01-01' + n * interval '40 seconds' + random() * interval '2 hours',
        gen_random_uuid(),
        case when random() < 0.8 then round((random() * 10000)::numeric, 2) end,
        case when random() < 0.35 then repeat(md5(n::text), 1 + (random() * random() * 8)::int) end,
        case when random() < 0.03 then now() end,
        random() < 0.97,
        (enum_range(null::mood))[1 + floor(random() * 3)],
        array(select 'tag' || floor(power(random(), 2) * 300) from generate_series(1, 1 + (n % 4)::int)),
        jsonb_build_object('user', (random() * 5000)::int, 'kind', n % 7, 'path', '/p/' || n % 900),
        ('10.' || n % 200 || '.' || (random() * 3)::int || '.' || (random() * 255)::int)::inet,
        (select string_agg(w, ' ') from (
            select (array['carefully', 'final', 'deposits', 'sleep', 'quickly', 'ironic', 'packages', 'the', 'regular',
                'express', 'bold', 'requests', 'among', 'silent', 'accounts', 'wake'])[1 + floor(random() * 16 + n * 0)]
                as w
            from generate_series(1, 3 + (n % 9)::int)
        ) as words),
        random(),
        (n % 40)::smallint,
        'C' || lpad((n % 5000)::text, 5, '0'),
        decode(md5((n % 50000)::text), 'hex')
    from generate_series(1, 400000) as n;
    create index event_old on event (user_id);
    create table member (
        id int generated always as identity primary key, email text not null unique, name varchar(60), city text,
        joined date, plan text, referrer int, during tstzrange
    );
    insert into member (email, name, city, joined, plan, referrer, during)
    select
        'person' || n || '@' || (array['example.com', 'mail.test', 'a-rather-long-domain.example'])[1 + n % 3],
        initcap(md5((n / 3)::text)), 'City ' || (power(random(), 3) * 700)::int, date '2015-01-01' + (n / 40)::int,
        case when random() < 0.9 then 'free' else 'paid' end, case when random() < 0.2 then (random() * n)::int end,
        tstzrange(
            timestamptz '2020-01-01' + n * interval '1 hour',
            timestamptz '2020-01-01' + (n + n % 50) * interval '1 hour'
        )
    from generate_series(1, 120000) as n;
    analyze;
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A candidate and its kind, as the table of errors groups it."""

    kind: str
    index: Index


@dataclass(frozen=True, slots=True)
class Outcome:
    database: str
    drawn: Drawn
    real_bytes: int
    estimates: dict[str, int | None]  # bytes by method

    def error(self, method: str) -> float | None:
        size = self.estimates.get(method)
        return None if size is None else size / self.real_bytes - 1


def drawn_candidates(tables: dict[str, TableFacts], count: int, seed: int) -> Iterator[Drawn]:
    """Candidates of all kinds on tables of some size, the same for the same seed."""
    numbers = random.Random(seed)
    large = sorted(name for name, table in tables.items() if table.rows >= LEAST_ROWS)
    seen: set[Index] = set()
    kinds = ["plain"] * 7 + [
        "include",
        "desc",
        "partial",
        "partial",
        "hash",
        "brin",
        "brin",
        "expression",
        "other",
        "other",
    ]
    while len(seen) < count:
        table = tables[numbers.choice(large)]
        kind = numbers.choice(kinds)
        index = _candidate(kind, table, numbers)
        if index is not None and index not in seen:
            seen.add(index)
            yield Drawn(kind, index)


def _candidate(kind: str, table: TableFacts, numbers: random.Random) -> Index | None:  # noqa: C901, PLR0911 -- one a kind
    ordered = [column for column in table.columns.values() if _is_ordered(column)]
    picked = numbers.sample(ordered, min(len(ordered), numbers.choice([1, 1, 2, 2, 3, 4])))
    keys = [Key(quote_identifier(column.name)) for column in picked]
    if kind == "plain":
        return Index(table.relation, tuple(keys))
    if kind == "include":
        others = [quote_identifier(column.name) for column in ordered if column not in picked]
        return Index(table.relation, tuple(keys[:2]), tuple(numbers.sample(others, min(2, len(others)))))
    if kind == "desc":
        return Index(
            table.relation, tuple(Key(key.expression, is_descending=True, is_nulls_first=True) for key in keys)
        )
    if kind == "partial":
        predicate = _predicate(numbers.choice(list(table.columns.values())), numbers)
        return Index(table.relation, tuple(keys), predicate=predicate) if predicate else None
    if kind == "hash":
        if max(picked[0].common_frequencies, default=0.0) * table.rows > LONG_CHAIN:
            return None
        return Index(table.relation, tuple(keys[:1]), access_method="hash")
    if kind == "brin":
        if any(column.type == "bool" for column in picked):
            return None  # has no operator class there
        per_range = (("pages_per_range", str(numbers.choice([4, 16, 32, 64]))),) if numbers.random() < 0.5 else ()
        return Index(table.relation, tuple(keys[:2]), access_method="brin", parameters=per_range)
    if kind == "expression":
        expressions = [text for column in table.columns.values() for text in _expressions(column)]
        chosen = numbers.choice(expressions) if expressions else None
        return Index(table.relation, (Key(chosen, is_column=False),)) if chosen else None
    methods = [found for column in table.columns.values() for found in _methods(column)]
    if not methods or table.rows > MOST_ROWS_OTHERWISE:
        return None
    name, method, operator_class = numbers.choice(methods)
    return Index(table.relation, (Key(name, operator_class=operator_class),), access_method=method)


def _is_ordered(column: ColumnFacts) -> bool:
    return column.category not in "AUR" or column.type in {"uuid", "bytea"}


def _expressions(column: ColumnFacts) -> list[str]:
    name = quote_identifier(column.name)
    if column.type in {"text", "varchar", "bpchar"}:
        return [f"lower({name})", f"left({name}, 3)"]
    if column.type in {"date", "timestamp"}:
        return [f"extract(year from {name})"]
    if column.type in {"int4", "int8", "numeric"}:
        return [f"{name} / 10"]
    return [f"{name} ->> 'user'"] if column.type == "jsonb" else []


def _methods(column: ColumnFacts) -> list[tuple[str, str, str | None]]:
    """Access methods other than the ordinary ones, with operator classes."""
    name = quote_identifier(column.name)
    if column.type in {"text", "varchar"}:
        return [(name, "gin", "gin_trgm_ops"), (name, "gist", "gist_trgm_ops"), (name, "spgist", None)]
    if column.type == "jsonb":
        return [(name, "gin", None), (name, "gin", "jsonb_path_ops")]
    if column.category == "A":
        return [(name, "gin", None)]
    return [(name, "gist", None), (name, "spgist", None)] if column.category == "R" else []


def _predicate(column: ColumnFacts, numbers: random.Random) -> str | None:
    name = quote_identifier(column.name)
    if column.null_fraction and numbers.random() < 0.4:
        return f"{name} is null" if column.null_fraction > 0.02 and numbers.random() < 0.5 else f"{name} is not null"
    if column.common_values and column.common_frequencies[0] > 0.02:
        value = quote_literal(numbers.choice(column.common_values[:3]))
        return f"{name} {numbers.choice(['=', '=', '<>'])} {value}"
    if len(column.histogram) > 10 and _is_ordered(column):
        value = quote_literal(numbers.choice(column.histogram[10:]))
        return f"{name} {numbers.choice(['<', '>='])} {value}"
    return None


def built_bytes(connection: psycopg.Connection[tuple[object, ...]], index: Index) -> int:
    """Bytes of the index when it is built; nothing of it stays."""
    with connection.transaction(force_rollback=True):
        connection.execute("set local max_parallel_maintenance_workers = 0")
        connection.execute("set local maintenance_work_mem = '256MB'")
        if any(key.operator_class for key in index.keys):
            connection.execute("create extension if not exists pg_trgm")
        connection.execute(index.create("measured").encode())
        (size,) = connection.execute("select pg_relation_size('measured')").fetchone() or (0,)
    return int(str(size))


def hypothetical_bytes(connection: psycopg.Connection[tuple[object, ...]], index: Index) -> int | None:
    """What HypoPG makes of it; null where it does not know the kind."""
    try:
        with connection.transaction():
            connection.execute("select hypopg_reset()")
            row = connection.execute(
                "select hypopg_relation_size(indexrelid) from hypopg_create_index(%s)", (index.create(),)
            ).fetchone()
            connection.execute("select hypopg_reset()")
    except psycopg.Error:
        return None
    return int(str(row[0])) if row else None


@contextlib.contextmanager
def captured_tables(dsn: str, database: str) -> Iterator[dict[str, TableFacts]]:
    """The tables of a database as a capture knows them."""
    with tempfile.TemporaryDirectory() as store:
        command = [sys.executable, "-m", "queryfit", "capture", make_conninfo(dsn, dbname=database), "--store", store]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (folder,) = (file.parent for file in Path(store).glob("*/*/capture.json"))
        with open_session(open_capture(folder)) as session:
            yield tables_of(session, database)


def _prepare(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute("select from pg_database where datname = 'skewed'").fetchone() is None:
            connection.execute("create database skewed")
            with psycopg.connect(make_conninfo(dsn, dbname="skewed")) as inside:
                inside.execute("select setseed(0.5)")
                inside.execute(SKEWED.encode())
                inside.commit()


def outcomes(dsn: str, database: str, count: int, seed: int, *, hypo_dsn: str | None) -> Iterator[Outcome]:
    with captured_tables(dsn, database) as tables, contextlib.ExitStack() as stack:
        connection = stack.enter_context(psycopg.connect(make_conninfo(dsn, dbname=database), autocommit=True))
        hypo = None
        if hypo_dsn:
            hypo = stack.enter_context(psycopg.connect(make_conninfo(hypo_dsn, dbname=database), autocommit=True))
        for drawn in drawn_candidates(tables, count, seed):
            with connection.transaction(force_rollback=True):
                connection.execute("create extension if not exists pg_trgm")
                estimate = sizes_of([drawn.index], tables, connection)[drawn.index]
            sizes = {"queryfit": _bytes(estimate)}
            if hypo:
                sizes["hypopg"] = hypothetical_bytes(hypo, drawn.index)
            yield Outcome(database, drawn, built_bytes(connection, drawn.index), sizes)


def _bytes(size: Size | None) -> int | None:
    return size.size_bytes if size else None


def report(found: list[Outcome]) -> str:
    """Errors by kind and method: how many were estimated, the share within the tolerance, median and worst error."""
    lines = []
    for kind in ["all", *sorted({outcome.drawn.kind for outcome in found})]:
        of_kind = [outcome for outcome in found if kind in {"all", outcome.drawn.kind}]
        for method in ("queryfit", "hypopg"):
            asked = [outcome for outcome in of_kind if method in outcome.estimates]
            errors = [error for outcome in asked if (error := outcome.error(method)) is not None]
            if errors:
                within = sum(abs(error) <= TOLERANCE for error in errors) / len(asked)
                worst = max(errors, key=abs)
                median = statistics.median(map(abs, errors))
                lines.append([kind, method, len(asked), len(errors), f"{within:.0%}", f"{median:.1%}", f"{worst:+.0%}"])
    return tabulate(lines, ["kind", "by", "drawn", "estimated", "within 15 %", "median error", "worst"])


def main() -> int:
    dsn, hypo_dsn = os.environ.get("QUERYFIT_BENCH_TPC_18"), os.environ.get("QUERYFIT_BENCH_TPC_15")
    if not dsn:
        print("index sizes: not measured, QUERYFIT_BENCH_TPC_18 names no server")
        return 0
    count, seed = (int(word) for word in (sys.argv[1:] + ["60", "1"][len(sys.argv) - 1 :])[:2])
    _prepare(dsn)
    found: list[Outcome] = []
    began = time.monotonic()
    for database in ("skewed", "tpch", "tpcds"):
        for outcome in outcomes(dsn, database, count, seed, hypo_dsn=hypo_dsn if database != "skewed" else None):
            found.append(outcome)
            error = outcome.error("queryfit")
            words = "none" if error is None else f"{error:+.0%}"
            if error is None or abs(error) > TOLERANCE:
                print(
                    f"{words:>6} {outcome.real_bytes / 2**20:8.1f} MB  {outcome.drawn.index.subject}", file=sys.stderr
                )
    print(report(found))
    print(f"{len(found)} indexes in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
