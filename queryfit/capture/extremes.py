"""The least and the greatest value that leading columns of B-trees really hold.

For a range beyond a column's histogram the planner looks at the end of an index; a planner without the rows needs to be
told. Each look-up is what the planner itself does there: one descent of the index to either end. Where that end is full
of dead rows it may take long, so the timeouts are tight and the whole has a budget.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from queryfit.capture import remedies
from queryfit.capture.column_statistics import UNREADABLE
from queryfit.capture.connect import CATALOG_PATH, QueryError
from queryfit.capture.scope import NAME
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queryfit.capture.guard import Guard
    from queryfit.capture.scope import Scope

Row = dict[str, Any]

TABLE = "column_extreme"
BATCH = 20  # columns in one statement: each statement may take an entry of pg_stat_statements
MOST_NAMED = 20  # columns told one by one
BATCH_TIMEOUT_MS = 40
COLUMN_TIMEOUT_MS = 10  # more for each column of the batch: an end is some five pages away, and these may be on disk
LOCK_TIMEOUT_MS = 20
LOCK_HINT = "capture again when that lock is gone"
SETTINGS = {
    "lock_timeout": str(LOCK_TIMEOUT_MS),
    # from the index, whatever the table's statistics say
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}

# The indexes that the planner looks into: whole, valid B-trees by a column of a plain table. The types' code and the
# operator class are the server's or an extension's.
CANDIDATES = f"""
    with recursive bottom (type, base) as (
        select oid, oid from pg_type where typtype <> 'd'
        union all
        select t.oid, bottom.base
        from pg_type as t
        join bottom on bottom.type = t.typbasetype
        where t.typtype = 'd'
    ),
    extension as (
        select classid, objid from pg_depend where refclassid = 'pg_extension'::regclass and deptype = 'e'
    )
    select distinct on (c.oid, a.attnum)
        current_database()::text as database,
        {NAME} as relation,
        c.oid::int8 as relation_oid,
        a.attname::text as column_name,
        quote_ident(ixn.nspname) || '.' || quote_ident(ix.relname) as index,
        ix.oid::int8 as index_oid,
        b.typname::text as base_type
    from pg_index as i
    join pg_class as ix on ix.oid = i.indexrelid
    join pg_namespace as ixn on ixn.oid = ix.relnamespace
    join pg_am as am on am.oid = ix.relam and am.amname = 'btree'
    join pg_class as c on c.oid = i.indrelid
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attnum = i.indkey[0]
    join bottom on bottom.type = a.atttypid
    join pg_type as b on b.oid = bottom.base
    join pg_opclass as oc on oc.oid = i.indclass[0]
    where c.oid = any ($1::int8[]::oid[])
        and c.relkind in ('r', 'm')
        and has_schema_privilege(n.oid, 'usage') and has_column_privilege(c.oid, a.attnum, 'select')
        and not row_security_active(c.oid)
        and (c.relpersistence = 'p' or not pg_is_in_recovery())
        and i.indisvalid
        and i.indpred is null
        and i.indcollation[0] = a.attcollation
        and b.typcategory in ('N', 'D', 'T', 'S', 'I', 'U')
        and b.typelem = 0 and b.typtype = 'b' and b.typname not in ('jsonb', 'tsvector', 'tsquery')
        and (
            b.oid < 16384
            or exists (select from extension as x where x.classid = 'pg_type'::regclass and x.objid = b.oid)
        )
        and oc.opcdefault
        and (
            oc.oid < 16384
            or exists (select from extension as x where x.classid = 'pg_opclass'::regclass and x.objid = oc.oid)
        )
    order by c.oid, a.attnum, i.indnatts, ix.oid
"""


@dataclass(slots=True)
class _Looking:
    """The state of one round of look-ups: what was found, which columns were left out and for which reason."""

    scope: Scope
    guard: Guard
    ends_at: float  # on the monotonic clock
    found: list[Row] = field(default_factory=list)
    refused: defaultdict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    late: int = 0

    def look(self, batch: Sequence[Row]) -> None:
        """Read the ends of these indexes; where the server stops that, of either half."""
        if time.monotonic() >= self.ends_at:
            self.late += len(batch)
            return
        text = _text(batch)
        reason = self.guard.verdict(text, [])
        if reason is None:
            try:
                self._read(text, batch)
                return
            except QueryError as error:
                reason = error.message
        if len(batch) == 1:
            self.refused[reason].append(batch[0])
            return
        middle = len(batch) // 2
        self.look(batch[:middle])
        self.look(batch[middle:])

    def _read(self, text: str, batch: Sequence[Row]) -> None:
        timeout = BATCH_TIMEOUT_MS + COLUMN_TIMEOUT_MS * len(batch)
        with self.scope.reader.transaction(timeout_ms=timeout, search_path=CATALOG_PATH) as transaction:
            transaction.set_local(SETTINGS)
            rows = transaction.query(text)
        for row in rows:
            asked = batch[row["place"]]
            self.found.append(
                {name: asked[name] for name in ("database", "relation", "column_name", "index", "base_type")}
                | {"least_value": row["least_value"], "greatest_value": row["greatest_value"]}
            )


def read_extremes(
    scope: Scope,
    guard: Guard,
    *,
    relations: Mapping[str, Row],
    scans: Mapping[str, int],
    histograms: set[tuple[str, str]],
    most: int,
    budget_ms: float,
) -> list[Row]:
    """Rows of the evidence table `column_extreme`; what was left out, and why, becomes a gap.

    Of the columns in `histograms` (relation, column), the planner asks the index of no others. `relations` are the
    rows of `relation` by name and `scans` the scans of each: large tables that are read much come first. At most
    `most` columns are looked up, in `budget_ms` of wall time.
    """
    ends_at = time.monotonic() + budget_ms / 1000
    _record_hidden(scope)

    def weight(relation: str) -> float:
        return float(relations[relation]["pages"] or 0) * (1 + scans.get(relation, 0))

    # a partitioned table has a histogram and no index of its own
    tables = {relation for relation, _ in histograms if relation in relations and relations[relation]["pages"]}
    ranked = sorted(tables, key=lambda relation: (-weight(relation), relation))
    ranks = {relation: rank for rank, relation in enumerate(ranked[:most])}
    locked = [name for name in ranks if relations[name]["relation_oid"] in scope.locked]
    for name in locked:
        reason = "another session holds or awaits an ACCESS EXCLUSIVE lock on it"
        scope.gaps.add(TABLE, reason, hint=LOCK_HINT, database=scope.database, subject=name)
    oids = [relations[name]["relation_oid"] for name in ranks.keys() - set(locked)]
    candidates = [
        row
        for row in scope.read(TABLE, CANDIDATES, [oids])
        if (row["relation"], row["column_name"]) in histograms and row["index_oid"] not in scope.locked
    ]
    candidates.sort(key=lambda row: (ranks[row["relation"]], row["column_name"]))
    looking = _Looking(scope, guard, ends_at)
    for batch in _batches(candidates[:most]):
        looking.look(batch)
    left, others = looking.late + max(0, len(candidates) - most), max(0, len(ranked) - most)
    if left or others:
        scope.gaps.add(
            TABLE,
            f"{most} columns and {budget_ms:g} ms are spent at most: the ends of the indexes of {left} columns"
            f" and {others} tables, small or little read, were not looked at",
            hint="capture the schemas that matter alone: --schema NAME",
            database=scope.database,
        )
    for reason, rows in looking.refused.items():
        _record_refused(scope, reason, rows)
    return looking.found


def _record_refused(scope: Scope, reason: str, rows: Sequence[Row]) -> None:
    is_slow = "timeout" in reason
    if len(rows) > MOST_NAMED:
        scope.gaps.add(
            TABLE,
            f"the ends of the indexes of {len(rows)} columns were not read: {reason}",
            hint="capture again when the server is quiet" if is_slow else None,
            database=scope.database,
        )
        return
    for row in rows:
        scope.gaps.add(
            TABLE,
            f"the ends of the index by {quote_identifier(row['column_name'])} were not read: {reason}",
            hint=f"vacuum {row['relation']}, and capture again when the server is quiet" if is_slow else None,
            database=scope.database,
            subject=row["relation"],
        )


def _batches(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    for first in range(0, len(rows), BATCH):
        yield rows[first : first + BATCH]


def _text(batch: Sequence[Row]) -> str:
    return "\nunion all\n".join(_one(place, row) for place, row in enumerate(batch))


def _one(place: int, row: Row) -> str:
    """Both ends of one index. format() takes the type's output function: a cast to text could be a user's."""
    column = quote_identifier(row["column_name"])

    def end(name: str, direction: str) -> str:
        return (
            f"(select pg_catalog.format('%s', {column}) as {name} from only {row['relation']}"
            f" where {column} is not null order by {column} {direction} limit 1) as {name}_end"
        )

    least, greatest = end("least_value", "asc"), end("greatest_value", "desc")
    return f"select {place} as place, least_value, greatest_value from {least}, {greatest}"


def _record_hidden(scope: Scope) -> None:
    hidden = scope.read_wanted(TABLE, UNREADABLE)
    closed = [row for row in hidden if not row["is_under_row_security"]]
    if closed:
        scope.gaps.add(
            TABLE,
            f"the role may not read {len(closed)} analyzed relations, nor the ends of their indexes",
            hint=remedies.read_everything(scope.role, scope.major, sorted({row["schema"] for row in closed})),
            database=scope.database,
        )
    for row in hidden:
        if row["is_under_row_security"]:
            scope.gaps.add(
                TABLE,
                "row security applies to this role, so its rows are not looked at",
                hint=f"alter role {scope.role} bypassrls; (or capture as the table's owner)",
                database=scope.database,
                subject=row["relation"],
            )
