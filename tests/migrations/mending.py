"""Mending under test: a folder of migrations mended by the real rules, and what servers make of it before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from queryfit.lint import Settings, judged, lint
from queryfit.migrations.files import MigrationFile, find_files
from queryfit.migrations.fixing import Outcome, mend
from queryfit.migrations.trace.run import statements_of
from tests.servers import Cluster

CATALOG = """
    select 'column', c.oid::regclass::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull::text
    from pg_class as c join pg_attribute as a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'm', 'v')
        and a.attnum > 0 and not a.attisdropped
    union all
    select 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), convalidated::text
    from pg_constraint where connamespace = 'public'::regnamespace
    union all
    select 'index', indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid::text
    from pg_index join pg_class on pg_class.oid = indexrelid where relnamespace = 'public'::regnamespace
    order by 1, 2, 3, 4
"""


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files; names may have folders in them. Line ends are written as they are."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder


def read(folder: Path) -> list[MigrationFile]:
    return find_files([folder], root=folder)


def findings(files: Sequence[MigrationFile], version: int = 18) -> list[tuple[str, str]]:
    """What the real rules say: rule and subject."""
    report = lint(files, Settings(version=version)).report
    return [(finding.rule, finding.subject) for finding in report.findings]


def mended(files: Sequence[MigrationFile], version: int = 18) -> Outcome:
    settings = Settings(version=version)
    return mend(files, lambda candidate: judged(lint(candidate, settings)), version=version)


def schema_after(cluster: Cluster, database: str, files: Sequence[MigrationFile]) -> list[tuple[object, ...]]:
    """Run migrations as their runner does, in an empty database; the schema that they leave."""
    cluster.drop_database(database)
    cluster.create_database(database)
    for file in files:
        run(cluster, database, file)
    with cluster.connect(database) as connection:
        return [tuple(row.values()) for row in connection.execute(CATALOG.encode())]


def run(cluster: Cluster, database: str, file: MigrationFile) -> None:
    """Send a file as its runner does. Raises psycopg.Error where the server refuses it."""
    with cluster.connect(database) as connection:
        statements = [statement.text for statement in statements_of(file.sql)]
        if file.transactions == "batch":
            connection.execute(file.sql.lstrip("\ufeff").encode())
            return
        if file.transactions == "pipeline":
            _pipeline(connection, statements)
            return
        if file.transactions == "file":
            connection.execute(b"begin")
        for text in statements:
            connection.execute(text.lstrip("\ufeff").encode())
        if file.transactions == "file":
            connection.execute(b"commit")


def _pipeline(connection: object, statements: Sequence[str]) -> None:
    """In a transaction, but what refuses one alone between two of them."""
    execute = connection.execute  # type: ignore[attr-defined]
    execute(b"begin")
    for text in statements:
        if "concurrently" in text.lower():
            execute(b"commit")
            execute(text.encode())
            execute(b"begin")
        else:
            execute(text.encode())
    execute(b"commit")
