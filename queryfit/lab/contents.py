"""Fills the database of a new lab from evidence: schema, settings, statistics, and what the sizes are to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg

from queryfit.errors import QueryfitError
from queryfit.lab import database as databases
from queryfit.lab import files, settings, sizes, statistics, stubs
from queryfit.lab import schema as ddl
from queryfit.lab.carried import EVERY_RELATION, NotCarried
from queryfit.lab.database import DATABASE, OWNER
from queryfit.lab.extended import Extended
from queryfit.lab.maker import Maker
from queryfit.lab.schema import Schema

if TYPE_CHECKING:
    from queryfit.lab.facts import Facts
    from queryfit.lab.server import Place

READS = frozenset({
    "server", "setting", "database", "tablespace", "relation", "relation_column", "relation_index", "index_column",
    "relation_constraint", "constraint_column", "data_type", "user_collation", "relation_sequence", "routine", "policy",
    "extension", "extended_statistics", "extended_expression_statistics", "column_statistics", "column_extreme",
    "custom_object", "unread",
})  # fmt: skip
_RANGES_SHOWN_SINCE = 17
_MOST_NAMES = 5  # in one line


def fill(
    place: Place, facts: Facts, *, version: int, captured: int, progress: Callable[[str], None]
) -> tuple[list[NotCarried], dict[str, int]]:
    """Make everything; returns what is not carried and how many objects of each kind are there."""
    database = facts.database
    captured_database = next(iter(facts.rows("database")), None)
    if captured_database is None or not captured_database["is_captured"]:
        raise QueryfitError(
            f"the capture does not hold the database {database}", hint="queryfit capture DSN, connected to it"
        )
    with closing(_connect(place.dsn("postgres"))) as connection:
        missing = databases.create(connection, version, captured_database)
        missing += settings.apply(connection, DATABASE, facts.rows("setting"), captured=captured, version=version)
    if facts.part is not None:
        held, number = len(facts.part.relations), facts.part.of
        missing.append(
            NotCarried(
                "relation",
                f"{number - held:,} of {number:,}",
                "no statement of the workload reaches them, so they were left out",
                changes_plans=False,
            )
        )
    if version != captured:
        missing.append(
            NotCarried(
                "version",
                str(captured),
                f"the lab is a PostgreSQL {version}, whose planner may choose otherwise; what a newer one can do is"
                " turned off where it can be",
                changes_plans=False,
            )
        )
    with (
        closing(_connect(place.dsn(DATABASE))) as superuser,
        closing(_connect(place.dsn(DATABASE, OWNER))) as owner,
    ):
        databases.furnish(superuser)
        maker = Maker(owner)
        schema = _make_schema(
            maker,
            superuser,
            facts,
            missing=missing,
            tablespace=captured_database.get("tablespace"),
            progress=progress,
        )
        progress("statistics")
        names = {row["relation"]: (row["schema"], row["name"]) for row in schema.relations}
        names |= {row["index"]: _parts(row["index"]) for row in schema.indexes}
        writer = statistics.Writer(owner, superuser, version)
        extremes = facts.rows("column_extreme")
        analyzed: set[tuple[str, str]] = set()
        for page in facts.pages("column_statistics"):
            missing += writer.write(list(statistics.with_extremes(page, extremes)), names)
            analyzed.update((row["relation"], row["column_name"]) for row in page)
            progress(f"statistics: {len(analyzed):,} columns")
        missing += Extended(superuser, owner, version, writer.write_row).write(
            schema.extended, facts.rows("extended_expression_statistics"), schema.columns
        )
        files.remember(superuser, sizes.extents(schema, facts))
        missing += maker.not_carried
        missing += _gaps(facts)
        missing += _without_range_histograms(schema, analyzed, captured)
        missing += _guessed(schema)
        counts = _counts(superuser)
    return missing, counts


def _make_schema(
    maker: Maker,
    superuser: psycopg.Connection[Any],
    facts: Facts,
    *,
    missing: list[NotCarried],
    tablespace: str | None,
    progress: Callable[[str], None],
) -> Schema:
    everything = Schema.read(facts)
    maker.run(list(ddl.schemas(everything)))
    there, lost = databases.create_extensions(superuser, everything.extensions)
    missing += lost
    schema = Schema.read(facts, there)

    def tell(what: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(f"{what}: {done:,} of {total:,}")

    # functions may take row types, tables may call functions: all are tried until nothing more succeeds
    maker.run(
        [*ddl.types(schema), *stubs.steps(schema.routines), *ddl.tables(schema), *ddl.views(schema)],
        tell("types, functions, tables, views"),
    )
    stubs.leakproof(maker, superuser, schema.routines)
    maker.run([*ddl.ties(schema)], tell("partitions"))
    maker.run([*ddl.keys(schema)], tell("keys"))
    maker.run([*ddl.indexes(schema), *ddl.index_ties(schema)], tell("indexes"))
    maker.run([*ddl.later(schema)], tell("constraints"))
    priced = databases.create_tablespaces(superuser, facts.rows("tablespace"), tablespace)
    maker.run([*ddl.places(schema, priced)])
    for row in schema.custom:
        relation = row["relation"]
        maker.miss(
            row["kind"], row["object"], "captured by name only", *([relation] if relation else []),
            changes_plans=relation is not None,
        )  # fmt: skip
    return schema


def _gaps(facts: Facts) -> list[NotCarried]:
    """What the capture itself could not read and a plan needs."""
    found = []
    for row in facts.rows("unread"):
        if row["table_name"] in READS:
            subject = row["subject"]
            found.append(
                NotCarried(
                    "evidence",
                    subject or row["table_name"],
                    f"{row['table_name']}: {row['reason']}",
                    (subject,) if subject else EVERY_RELATION,
                    changes_plans=row["table_name"] == "column_statistics",
                )
            )
    return found


def _guessed(schema: Schema) -> list[NotCarried]:
    """What the planner estimates in the lab and reads from the index on the server, to nearly the same effect."""
    names = [row["index"] for row in schema.indexes if row["access_method"] == "gin"]
    if not names:
        return []
    reason = "how its entries are spread over its pages is the planner's guess from its size: its cost is 2 % off or so"
    return [NotCarried("index", ", ".join(names[:_MOST_NAMES]), reason, changes_plans=False)]


def _without_range_histograms(schema: Schema, analyzed: set[tuple[str, str]], captured: int) -> list[NotCarried]:
    """Columns of ranges on a server whose pg_stats does not show what the planner knows of them."""
    if captured >= _RANGES_SHOWN_SINCE:
        return []
    return [
        NotCarried(
            "statistics",
            f"{relation}.{column['column_name']}",
            f"pg_stats shows no histograms of ranges before PostgreSQL {_RANGES_SHOWN_SINCE}",
            (relation,),
            column=column["column_name"],
        )
        for relation, columns in schema.columns.items()
        for column in columns
        if column["type_category"] == "R" and (relation, column["column_name"]) in analyzed
    ]


def _parts(name: str) -> tuple[str, str]:
    """Schema and name, unquoted, of a qualified name."""
    schema = ddl.schema_of(name)
    return _plain(schema), _plain(name[len(schema) + 1 :])


def _plain(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word


def _counts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    rows = connection.execute(
        f"""select case relkind when 'r' then 'tables' when 'p' then 'partitioned tables' when 'v' then 'views'
            when 'm' then 'materialized views' when 'f' then 'foreign tables' when 'S' then 'sequences'
            else 'indexes' end, count(*)
        from pg_catalog.pg_class where oid >= 16384 and relkind in ('r', 'p', 'v', 'm', 'f', 'i', 'I')
            and relnamespace not in (
                select oid from pg_catalog.pg_namespace where nspname = '{files.SCHEMA}' or nspname like 'pg\\_%'
            )
        group by 1
        union all select 'column statistics', count(*) from pg_catalog.pg_statistic where starelid >= 16384
        union all select 'functions', count(*) from pg_catalog.pg_proc as p where oid >= 16384 and not exists (
            select from pg_catalog.pg_depend as d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid
                and d.deptype = 'e') and pronamespace <> '{files.SCHEMA}'::regnamespace""".encode()
    ).fetchall()
    return dict(Counter({name: count for name, count in rows if count}))


def _connect(dsn: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(
        dsn, autocommit=True, prepare_threshold=None, client_encoding="utf8", connect_timeout=30,
        options="-c search_path=pg_catalog -c timezone=UTC -c datestyle=ISO,YMD -c intervalstyle=postgres",
    )  # fmt: skip
    connection.add_notice_handler(lambda _: None)
    return connection
