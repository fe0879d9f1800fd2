"""A DuckDB session over the evidence of one capture, locked down before any rule runs.

The tables are read into memory and file access is then switched off for good, so a statement from a stranger can read
evidence and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec import Struct, field

from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import Table, table, tables
from queryfit.evidence.engine import duckdb
from queryfit.evidence.lines import Lines, read_lines
from queryfit.evidence.watch import Watch, memory_limit

if TYPE_CHECKING:
    from queryfit.evidence.store import Capture

MEMORY_LIMIT = "768MB"
TIME_LIMIT_S = 30.0
ROW_LIMIT = 200_000


class Result(Struct, frozen=True):
    """Rows of a SELECT: column names, and one tuple a row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def mappings(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            yield dict(zip(self.columns, row, strict=True))


class Session:
    """Evidence in memory. Use `open_session`, `empty_session` or `example_session` to make one."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._watch = Watch(connection)
        self._is_bounded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._watch.end()
        self._connection.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Bound the memory of all queries inside as of one: setting it for each takes as long as a small query."""
        with memory_limit():
            self._is_bounded = True
            try:
                yield
            finally:
                self._is_bounded = False

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, time_limit_s: float = TIME_LIMIT_S
    ) -> Result:
        """Run exactly one SELECT.

        Raises QueryfitError for anything else, for SQL that fails, and for one that exceeds its time, memory or rows.
        """
        statement = one_select(self._connection, sql)
        bound = nullcontext() if self._is_bounded else memory_limit()
        with self._watch.limit(time_limit_s) as expired, bound:
            try:
                self._connection.execute("begin transaction read only")
                try:
                    cursor = self._connection.execute(statement, dict(parameters) if parameters else None)
                    description = cursor.description or []
                    rows = tuple(cursor.fetchmany(ROW_LIMIT + 1))
                finally:
                    with suppress(duckdb.Error):
                        self._connection.execute("rollback")
            except duckdb.Error as error:
                if expired.is_set():
                    raise QueryfitError(
                        f"stopped after {time_limit_s:g} s", hint="look for a join without a condition or a recursion"
                    ) from None
                if "pytz" in str(error):  # DuckDB asks for that package to hand out such a value
                    raise QueryfitError(
                        "a result column is a timestamp with time zone", hint="cast it, as in now()::timestamp"
                    ) from None
                raise QueryfitError(_first_lines(error)) from None
            except MemoryError:
                raise QueryfitError("ran out of memory", hint="return less, or shorter texts") from None
        if len(rows) > ROW_LIMIT:
            raise QueryfitError(f"returned more than {ROW_LIMIT:,} rows", hint="add a condition or a LIMIT")
        return Result(tuple(column[0] for column in description), _without_decimals(rows, description))


def _without_decimals(
    rows: tuple[tuple[Any, ...], ...], description: Sequence[tuple[Any, ...]]
) -> tuple[tuple[Any, ...], ...]:
    """Rows with floats for decimals: `sum(bigint) * 0.5` is one, and nobody after this cares for the difference."""
    if not rows:
        return rows
    places = {place for place, column in enumerate(description) if str(column[1]).startswith("DECIMAL")}
    if not places:
        return rows
    return tuple(
        tuple(float(value) if place in places and value is not None else value for place, value in enumerate(row))
        for row in rows
    )


def one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The statement of a text that is exactly one, of type SELECT. Raises QueryfitError for any other."""
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryfitError(_first_lines(error)) from None
    if len(statements) != 1:
        raise QueryfitError(f"expected one SELECT, found {len(statements)} statements")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise QueryfitError(f"expected one SELECT, found {str(kind).rpartition('.')[2]}")
    return statements[0]


class Addition(Struct, frozen=True):
    """What was found out from a capture: rows by table, and statements that are planned now and were not then."""

    rows: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    planned: frozenset[tuple[str, str]] = frozenset()  # database, fingerprint


def open_session(
    capture: Capture, addition: Addition | None = None, *, files: Mapping[str, Path] | None = None
) -> Session:
    """A locked-down session over a capture. Raises QueryfitError where the capture is damaged.

    `files` are Parquet files of tables that stand in for the capture's own, or that it does not hold.
    """
    files = {**capture.files(), **(files or {})}

    def load(raw: duckdb.DuckDBPyConnection) -> None:
        _load(raw, files)
        if addition is not None:
            _add(raw, addition)

    return _build({name: table.create for name, table in tables().items()}, load=load)


def _add(raw: duckdb.DuckDBPyConnection, addition: Addition) -> None:
    for name, rows in addition.rows.items():
        read_lines(raw, name, Lines(msgspec.json.Encoder().encode_lines(rows)))
    for database, fingerprint in addition.planned:
        raw.execute(
            "delete from unread where table_name = 'plan' and database = $1 and subject = $2",
            [database, f"fingerprint:{fingerprint}"],
        )


def empty_session(reads: Sequence[str]) -> Session:
    """A session that holds the named tables, all empty, and no others."""

    def drop_others(raw: duckdb.DuckDBPyConnection) -> None:
        for name in tables().keys() - set(reads):
            raw.execute(f"drop table {name}")

    return _build({name: table.create for name, table in tables().items()}, finish=drop_others)


def loaded_session(held: Mapping[str, Lines]) -> Session:
    """A session that holds the named tables with these rows, and no others.

    Rows arrive in bulk, as DuckDB reads JSON: a value at a time, a large run would take longer to load than to judge.
    """

    def load(raw: duckdb.DuckDBPyConnection) -> None:
        for name, rows in held.items():
            read_lines(raw, name, rows)

    return _build({name: table(name).create for name in held}, load=load, derives=False, threads=1)


def example_session(inserts: str) -> Session:
    """A session that holds what the INSERT statements of an example say.

    Columns that an example leaves out have neutral values (0, false, the database `app`), and there is a server whose
    counters cover seven days, so that an example shows only what matters. Raises QueryfitError.
    """

    def fill(raw: duckdb.DuckDBPyConnection) -> None:
        # an INSERT can read files as well: the session is locked down before a stranger's example runs
        _lock_down(raw)
        watch = Watch(raw)
        with watch.limit(TIME_LIMIT_S), memory_limit():
            try:
                for statement in raw.extract_statements(inserts):
                    if statement.type != duckdb.StatementType.INSERT:
                        raise QueryfitError("an example of evidence holds INSERT statements only")
                    raw.execute(statement)
                if raw.execute("select count(*) from server").fetchone() == (0,):
                    raw.execute("insert into server default values")
            except duckdb.Error as error:
                raise QueryfitError(_first_lines(error)) from None
            except MemoryError:
                raise QueryfitError("the example ran out of memory") from None
            finally:
                watch.end()

    return _build({name: with_neutral_values(table) for name, table in tables().items()}, load=fill)


NEUTRAL = {
    "varchar": "''",
    "boolean": "false",
    "integer": "0",
    "bigint": "0",
    "double": "0",
    "timestamp": "timestamp '2026-01-08 00:00:00'",
}
_NEUTRAL_BY_COLUMN = {
    "database": "'app'",
    "counters_since": "timestamp '2026-01-01 00:00:00'",
    "counted_since": "timestamp '2026-01-01 00:00:00'",
    "access_method": "'btree'",
    "persistence": "'permanent'",
    "version_number": "180000",
    "provider": "'self-hosted'",
    "relation_kind": "'table'",
    "runner": "'psql'",
    "server_version": "18",
    "transactions": "'each'",
    "is_captured": "true",
    "is_enforced": "true",
    "is_key": "true",
    "is_nulls_distinct": "true",
    "is_known": "true",
    "is_present": "true",
    "is_readable": "true",
    "is_reversible": "true",
    "is_ready": "true",
    "is_toplevel": "true",
    "is_valid": "true",
    "is_validated": "true",
}


def with_neutral_values(table: Table) -> str:
    """The CREATE TABLE of an evidence table with a default for every column that an example may leave out."""
    lines = []
    for column in table.columns:
        value = _NEUTRAL_BY_COLUMN.get(column.name) or (NEUTRAL.get(column.type) if column.is_required else None)
        lines.append(f"{column.name} {column.type}" + (f" default {value}" if value else ""))
    return f"create table {table.name} ({', '.join(lines)})"


def _nothing(_: duckdb.DuckDBPyConnection) -> None:
    pass


def _build(
    creates: Mapping[str, str],
    *,
    load: Callable[[duckdb.DuckDBPyConnection], None] = _nothing,
    finish: Callable[[duckdb.DuckDBPyConnection], None] = _nothing,
    derives: bool = True,
    threads: int = 2,
) -> Session:
    """A locked-down session: tables, what `load` puts into them, the derived tables, what `finish` does."""
    connection = duckdb.connect(config={"threads": threads, "memory_limit": MEMORY_LIMIT})
    try:
        # DuckDB draws it on standard output, where the result goes, when it takes the caller for an interactive one
        connection.execute("set enable_progress_bar = false")
        for create in creates.values():
            connection.execute(create)
        load(connection)
        made = set(creates)
        for entry in tables().values() if derives else ():
            if entry.derivation and (entry.name in creates or made.issuperset(entry.source.split(", "))):
                if entry.name not in creates:
                    connection.execute(entry.create)
                connection.execute(entry.derivation)
                made.add(entry.name)
        finish(connection)
        _lock_down(connection)
    except BaseException:
        connection.close()
        raise
    return Session(connection)


def _load(raw: duckdb.DuckDBPyConnection, files: Mapping[str, Path]) -> None:
    for name, path in files.items():
        table = tables().get(name)
        if table is None or table.derivation:
            continue  # a table of another version
        quoted = str(path).replace("'", "''")
        try:
            described = raw.execute(f"describe select * from read_parquet('{quoted}')").fetchall()
            shared = [row[0] for row in described if row[0] in table.column_types]
            columns = ", ".join(shared)
            raw.execute(f"insert into {name} ({columns}) select {columns} from read_parquet('{quoted}')")
        except duckdb.Error as error:
            raise QueryfitError(
                f"{path} cannot be read: {_first_lines(error)}", hint="the file is damaged; take a new capture"
            ) from None


def _lock_down(raw: duckdb.DuckDBPyConnection) -> None:
    if raw.execute("select current_setting('lock_configuration')").fetchone() == (True,):
        return
    raw.execute("set autoinstall_known_extensions = false")
    raw.execute("set autoload_known_extensions = false")
    raw.execute("set enable_external_access = false")
    raw.execute("set disabled_filesystems = 'LocalFileSystem'")
    raw.execute("set lock_configuration = true")


def _first_lines(error: Exception, most: int = 2) -> str:
    lines: Iterable[str] = (line.strip() for line in str(error).splitlines())
    return " ".join([line for line in lines if line][:most])
