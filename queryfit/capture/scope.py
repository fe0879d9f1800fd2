"""What is captured of one database: a reader, a filter of relations, and a list of what could not be read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from queryfit.capture.connect_errors import LOCK_NOT_AVAILABLE, QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryfit.capture.connect import Reader

Row = dict[str, Any]

# Conditions on pg_namespace `n` and pg_class `c`; $1 are the schemas wanted (null for all), $2 what is left out.
WANTED = """
    n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    and n.nspname !~ '^pg_(toast_)?temp_'
    and ($1::text[] is null or n.nspname = any ($1::text[]))
    and not exists (
        select from unnest($2::text[]) as left_out (pattern)
        where n.nspname ~ left_out.pattern or (n.nspname || '.' || c.relname) ~ left_out.pattern
    )
"""
# The relation's name as evidence writes it: schema.name, quoted where SQL needs it.
NAME = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"

# Size functions and others open the relation: they would wait behind these locks, held or asked for.
LOCKED = """
    select distinct relation::int8 as relation_oid, mode
    from pg_locks
    where locktype = 'relation'
        and database = (select oid from pg_database where datname = current_database())
        and mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        and pid is distinct from pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which relations to capture: schemas by exact name, `exclude` as globs over `schema` or `schema.name`."""

    schemas: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def params(self) -> list[object]:
        """Values of the parameters of `WANTED`."""
        return [list(self.schemas) or None, [_regular_expression(pattern) for pattern in self.exclude]]


def _regular_expression(glob: str) -> str:
    """A PostgreSQL regular expression that matches what the shell pattern does."""
    inner = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in glob)
    return f"^{inner}$"


@dataclass(slots=True)
class Gaps:
    """Rows of the evidence table `unread`."""

    rows: list[Row] = field(default_factory=list)

    def add(
        self,
        table: str,
        reason: str,
        *,
        hint: str | None = None,
        database: str | None = None,
        subject: str | None = None,
    ) -> None:
        row = {"table_name": table, "database": database, "subject": subject, "reason": reason, "hint": hint}
        if row not in self.rows[-50:]:  # a watch meets the same gap at every look
            self.rows.append(row)


@dataclass(slots=True)
class Scope:
    """One database being captured."""

    reader: Reader
    filter: Filter
    gaps: Gaps
    role: str  # current_user, quoted for the SQL of hints
    locked: frozenset[int] = frozenset()  # relations under ACCESS EXCLUSIVE
    busy: frozenset[int] = frozenset()  # relations under any lock that stops ROW EXCLUSIVE

    def is_at_least(self, major: int) -> bool:
        """Tell whether the server is of this major version or later."""
        return self.major >= major

    @property
    def major(self) -> int:
        """The server's major version: 18."""
        return self.reader.version_number // 10_000

    @property
    def database(self) -> str:
        return self.reader.database

    def read(self, table: str, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """Rows of a query without parameters of its own kind; a refusal becomes a gap in `table` and no rows."""
        try:
            return self.reader.query(sql, list(params) or None)
        except QueryError as error:
            self.refused(table, error)
            return []

    def read_wanted(self, table: str, sql: str) -> list[Row]:
        """Rows of a query over `WANTED` relations that waits for no relation lock."""
        return self.read(table, sql, self.filter.params())

    def stream_wanted(self, table: str, sql: str) -> Iterator[list[Row]]:
        """Like `read_wanted`, in lists as they arrive."""
        try:
            yield from self.reader.stream(sql, self.filter.params())
        except QueryError as error:
            self.refused(table, error)

    def read_locking(self, table: str, sql: str, *, sequences: bool = False, is_filtered: bool = True) -> list[Row]:
        """Rows of a query that opens relations: $3 lists those to leave alone, $4 says to open none.

        A query that is not over `WANTED` relations has these as $1 and $2.

        A lock that comes in between ends in lock_timeout: it is looked for again, then nothing is opened any more.
        """
        filters = self.filter.params() if is_filtered else []
        for opens_none in (False, False, True):
            closed = sorted(self.busy if sequences else self.locked)
            try:
                return self.reader.query(sql, [*filters, closed, opens_none])
            except QueryError as error:
                if error.sqlstate != LOCK_NOT_AVAILABLE or opens_none:
                    self.refused(table, error)
                    return []
                self.find_locks()
        return []

    def closed_by_locks(self, table: str, names: Sequence[str], *, of: int) -> None:
        """Record relations (of so many) whose size function would have waited for a lock."""
        reason = "another session holds or awaits an ACCESS EXCLUSIVE lock on it: its size is the last VACUUM's"
        hint = "capture again when that lock is gone"
        if len(names) == of > 1:  # locks came and went too fast: none was opened
            reason = f"ACCESS EXCLUSIVE locks kept coming in: the sizes of all {of} are the last VACUUM's"
            self.gaps.add(table, reason, hint=hint, database=self.database)
            return
        for name in names:
            self.gaps.add(table, reason, hint=hint, database=self.database, subject=name)

    def find_locks(self) -> None:
        """Learn which relations are locked now, besides those known."""
        rows = self.read("relation", LOCKED)
        self.busy |= {row["relation_oid"] for row in rows}
        self.locked |= {row["relation_oid"] for row in rows if row["mode"] == "AccessExclusiveLock"}

    def refused(self, table: str, error: QueryError) -> None:
        self.gaps.add(table, f"the server refused the query: {error.message}", hint=error.hint, database=self.database)
