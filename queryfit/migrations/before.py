"""The schema that migrations will meet: a live server's or a capture's, with the sizes and the traffic of its tables.

What the capture knows as definitions is replayed like any migration: one way to understand DDL is enough.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryfit.evidence.session import Session, open_session
from queryfit.evidence.store import Store
from queryfit.migrations import NEWEST, OLDEST
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.model import BEFORE, Database, Relation
from queryfit.migrations.replay import replay
from queryfit.migrations.runners import RUNNER_TABLES
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from queryfit.evidence.store import Capture

_TABLES = ("table", "partitioned_table", "foreign_table")
_SECONDS_A_DAY = 86_400
_UNREAD = "select distinct table_name, subject, reason, hint from unread order by all"
# without these a relation may be there that is not known, without those its size or what has run
_SCHEMA = frozenset({"relation", "relation_column", "relation_constraint", "relation_index", "data_type"})
_STATE = frozenset({"relation_counter", "applied_migration", "setting"})

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Schema:
    """What is there before the first migration that is still to run."""

    database: Database
    version: int
    applied: Mapping[str, frozenset[str]]  # versions by the runner's table
    notes: Sequence[str] = ()  # what could not be read of it, as sentences

    def unapplied(self, files: Sequence[MigrationFile]) -> list[MigrationFile]:
        """The files that the server has not run.

        Where its runner's table is there, that one decides; else the history is taken for applied, and nothing else.
        """
        return [file for file in files if not self._is_applied(file)]

    def _is_applied(self, file: MigrationFile) -> bool:
        table = RUNNER_TABLES.get(file.runner)
        known = self.applied.get(table.relation.rpartition(".")[2]) if table is not None else None
        if table is None or known is None or file.version is None:
            return not file.is_linted
        if table.is_latest:
            latest = max((int(version) for version in known if version.isdecimal()), default=-1)
            return file.version.isdecimal() and int(file.version) <= latest
        return file.version in known


def schema_of(target: str, progress: Callable[[str], None] = lambda _: None, *, store: Path | None = None) -> Schema:
    """The schema of a server (a DSN) or a capture (its folder, or its name in the store). Raises QueryfitError."""
    with capture_of(target, progress, store=store) as (capture, _):
        return schema_in(capture)


@contextmanager
def capture_of(
    target: str, progress: Callable[[str], None] = lambda _: None, *, store: Path | None = None
) -> Iterator[tuple[Capture, bool]]:
    """The capture that is named, or one of the server for the length of the block; whether it is there afterwards.

    Raises QueryfitError.
    """
    from queryfit.audit import find_capture, take_capture  # noqa: PLC0415
    from queryfit.config import default_store  # noqa: PLC0415

    capture = find_capture(target, Store(store or default_store()))
    if capture is not None:
        yield capture, True
        return
    from queryfit.capture.server import CaptureOptions  # noqa: PLC0415 -- psycopg loads only where a server is asked

    with tempfile.TemporaryDirectory(prefix="queryfit-") as folder:
        yield take_capture(target, CaptureOptions(max_plans=0), Store(Path(folder)), progress=progress), False


def schema_in(capture: Capture) -> Schema:
    """The schema that a capture holds. Raises QueryfitError."""
    with open_session(capture) as session:
        return _read(session)


def _read(session: Session) -> Schema:
    def rows(sql: str) -> Rows:
        return list(session.query(sql).mappings())

    server = rows("select version_number from server")[0]
    version = min(max(server["version_number"] // 10_000, OLDEST), NEWEST)
    databases = {row["database"] for row in rows("select distinct database from relation")}
    script = ";\n".join(_definitions(rows))
    made = MigrationFile(None, "the server", script, script, "psql", "each", is_linted=False)
    run = replay([made], version=version)
    database = run.databases.get(0, Database())
    _settle(database)
    database.is_complete = len(databases) <= 1
    settings = {row["name"]: row for row in rows("select name, value, value_ms from setting")}
    if "TimeZone" in settings:
        database.time_zone = settings["TimeZone"]["value"]
    for name in ("lock_timeout", "statement_timeout"):
        if name in settings and settings[name]["value_ms"] is not None:
            setattr(database, f"{name}_ms", int(settings[name]["value_ms"]))
    _mark_indexes(database, rows)
    _measure(database, rows)
    applied: dict[str, set[str]] = defaultdict(set)
    for row in rows("select relation, version from applied_migration"):
        applied[row["relation"].rpartition(".")[2].strip('"')].add(row["version"])
    notes = list(_notes(rows, databases))
    if any(row["table_name"] in _SCHEMA for row in rows(_UNREAD)):
        database.is_complete = False
    return Schema(database, version, {table: frozenset(versions) for table, versions in applied.items()}, notes)


def _notes(rows: Callable[[str], Rows], databases: Collection[str]) -> Iterator[str]:
    """What of the server is not known, and what follows from that."""
    if len(databases) > 1:
        yield f"the capture holds {len(databases)} databases: tables of the same name are taken for one"
    for row in rows(_UNREAD):
        if row["table_name"] in _SCHEMA or row["table_name"] in _STATE:
            about = f" ({row['subject']})" if row["subject"] else ""
            hint = f"; {row['hint']}" if row["hint"] else ""
            yield f"{row['table_name']}{about} could not be read: {row['reason']}{hint}"


def _definitions(rows: Callable[[str], Rows]) -> Iterator[str]:
    """The schema as DDL, in an order in which it can be made."""
    yield "set search_path = ''"
    for row in rows("select distinct schema from relation order by 1"):
        yield f"create schema if not exists {quote_identifier(row['schema'])}"
    for row in rows("select definition from data_type order by rowid"):
        yield row["definition"]
    columns: dict[str, list[str]] = defaultdict(list)
    for row in rows("select * from relation_column order by relation, position"):
        columns[row["relation"]].append(_column(row))
    relations = rows("select * from relation where kind <> 'temporary' order by relation")
    depth = _depths(relations)
    for row in sorted(relations, key=lambda row: depth[row["relation"]]):
        if row["kind"] in _TABLES:
            yield _table(row, columns[row["relation"]])
    for row in rows("select definition from relation_index where constraint_name is null order by index"):
        yield row["definition"]
    # a foreign key needs the key that it points at
    for row in rows(
        "select * from relation_constraint where not is_inherited and definition <> ''"
        " order by kind = 'foreign_key', relation, constraint_name"
    ):
        name = quote_identifier(row["constraint_name"])
        yield f"alter table {row['relation']} add constraint {name} {row['definition']}"
    for row in relations:
        yield from _after_all(row)


def _after_all(row: Mapping[str, Any]) -> Iterator[str]:
    """What needs the other relations, or is set on one that is there."""
    if row["definition"] and row["kind"] in {"view", "materialized_view"}:
        kind = row["kind"].replace("_", " ")
        yield f"create {kind} {row['relation']} as {row['definition'].rstrip().rstrip(';')}"
    if row["has_row_security"]:
        yield f"alter table {row['relation']} enable row level security"


def _depths(relations: Rows) -> dict[str, int]:
    """How many parents lie above a table."""
    parents = {row["relation"]: row["parent"] for row in relations}

    def depth(relation: str, seen: frozenset[str] = frozenset()) -> int:
        parent = parents.get(relation)
        if parent is None or parent not in parents or relation in seen:
            return 0
        return 1 + depth(parent, seen | {relation})

    return {relation: depth(relation) for relation in parents}


def _column(row: Mapping[str, Any]) -> str:
    text = f"{quote_identifier(row['column_name'])} {row['type']}"
    if row["collation_name"]:
        text += f" collate {quote_identifier(row['collation_name'])}"
    if row["identity"]:
        text += f" generated {'always' if row['identity'] == 'always' else 'by default'} as identity"
    elif row["generated"]:
        text += f" generated always as ({row['default_expression']}) {row['generated']}"
    elif row["default_expression"] is not None:
        text += f" default {row['default_expression']}"
    return text + (" not null" if row["is_not_null"] else "")


def _table(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    persistence = "unlogged " if row["persistence"] == "unlogged" else ""
    if row["kind"] == "foreign_table":
        return f"create foreign table {row['relation']} ({', '.join(columns)}) server unknown"
    key = f" partition by {row['partition_key']}" if row["partition_key"] else ""
    if row["is_partition"] and row["parent"] and row["partition_bound"]:
        return f"create {persistence}table {row['relation']} partition of {row['parent']} {row['partition_bound']}{key}"
    inherits = f" inherits ({row['parent']})" if row["parent"] else ""
    return f"create {persistence}table {row['relation']} ({', '.join(columns)}){inherits}{key}"


def _settle(database: Database) -> None:
    """All of it was there before: none of it is new to any migration."""
    for things in (database.relations, database.indexes, database.domains, database.enums, database.types):
        for thing in things.values():
            thing.born = BEFORE
    for functions in database.functions.values():
        for function in functions:
            function.born = BEFORE
    database.schemas = dict.fromkeys(database.schemas, BEFORE)
    for enum in database.enums.values():
        enum.added.clear()


def _mark_indexes(database: Database, rows: Callable[[str], Rows]) -> None:
    """What a definition does not say of an index; that of a partitioned one names ONLY its own table."""
    by_text = {index.name.text: index for index in database.indexes.values()}
    for row in rows("select index, is_valid, parent_index from relation_index"):
        index = by_text.get(row["index"])
        if index is not None:
            index.is_valid = row["is_valid"]
            parent = by_text.get(row["parent_index"])
            index.parent = parent.name if parent is not None else None


def _measure(database: Database, rows: Callable[[str], Rows]) -> None:
    """Sizes and traffic; a partitioned table has those of all its partitions."""
    by_text = {relation.text: relation for relation in database.relations.values()}
    for row in rows(
        "select r.relation, r.root, r.kind, r.size_bytes, r.toast_bytes, r.index_bytes,"
        " greatest(r.tuple_rows, c.live_rows) as row_count, w.window_days,"
        " c.inserted_rows + c.updated_rows + c.deleted_rows as writes,"
        " c.sequential_scans + coalesce(c.index_scans, 0) as reads"
        " from relation as r left join relation_counter as c using (database, relation)"
        " left join counter_window as w using (database) where r.kind in ('table', 'materialized_view')"
    ):
        seconds = (row["window_days"] or 0) * _SECONDS_A_DAY
        size = sum(row[part] or 0 for part in ("size_bytes", "toast_bytes", "index_bytes"))
        for text in dict.fromkeys((row["relation"], row["root"])):
            relation = by_text.get(text)
            if relation is not None and row["size_bytes"] is not None:
                _add(relation, size, row, seconds)


def _add(relation: Relation, size: int, row: Mapping[str, Any], seconds: float) -> None:
    relation.size_bytes = (relation.size_bytes or 0) + size
    if row["row_count"] is not None:
        relation.row_count = (relation.row_count or 0) + int(row["row_count"])
    if seconds > 0 and row["writes"] is not None:
        relation.writes_per_s = (relation.writes_per_s or 0.0) + row["writes"] / seconds
        relation.reads_per_s = (relation.reads_per_s or 0.0) + (row["reads"] or 0) / seconds
