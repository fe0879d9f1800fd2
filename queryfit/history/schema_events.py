"""What full captures saw change: settings, columns, and relations and indexes that no counters tell of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from queryfit.evidence.dictionary import tables
from queryfit.evidence.engine import duckdb
from queryfit.history.chain import Link
from queryfit.history.reading import quoted, source

_READ = {
    "setting": ("name", "value", "unit", "value_bytes", "value_ms", "source"),
    "relation": ("database", "relation", "kind"),
    "relation_column": (
        "database",
        "relation",
        "column_name",
        "type",
        "is_not_null",
        "default_expression",
        "identity",
        "generated",
    ),
    "relation_index": ("database", "relation", "index", "definition"),
    "relation_counter": ("database", "relation"),
    "index_counter": ("database", "index"),
    "database": ("database", "is_captured"),
    "unread": ("table_name", "database"),
}


def write_schema_events(raw: duckdb.DuckDBPyConnection, fulls: Sequence[Link]) -> None:
    """Add to `out_server_event` what changed between full captures in order, and say what each index was."""
    for before, now in pairwise(fulls):
        try:
            _load(raw, before, now)
        except duckdb.Error:
            continue  # a damaged one is named by whoever reads its counters
        raw.execute(
            f"""
            insert into out_server_event
            select {quoted(now.at)}::timestamp, kind, database, subject, value_before, value_now, detail
            from ({_SETTINGS} union all {_COLUMNS} union all {_RELATIONS} union all {_INDEXES}) as seen
            """
        )


def name_indexes(raw: duckdb.DuckDBPyConnection, fulls: Sequence[Link]) -> None:
    """Give the events of indexes their definitions, from the nearest full capture that knows them."""
    files = {str(path): entry for entry in fulls if (path := entry.capture.file("relation_index")) is not None}
    wanted = raw.execute(
        "select 1 from out_server_event where kind in ('index_added', 'index_dropped')"
        " and value_before is null and value_now is null limit 1"
    ).fetchone()
    if not files or wanted is None:
        return
    times = ", ".join(f"({quoted(path)}, {quoted(entry.at)}::timestamp)" for path, entry in files.items())
    try:
        raw.execute(
            f"""
            create or replace temp table known_index as
            select taken.at_full, read.database, read.index, read.definition
            from ({source(raw, "relation_index", ("database", "index", "definition"), list(files))}) as read
            join (values {times}) as taken (filename, at_full) using (filename)
            semi join out_server_event as event on event.subject = read.index and event.database = read.database
            """
        )
    except duckdb.Error:
        return
    raw.execute(
        """
        update out_server_event as event set value_now = (
            select arg_min(definition, at_full) from known_index as known
            where known.index = event.subject and known.database = event.database and at_full >= event.happened_at
        )
        where kind = 'index_added' and value_now is null
        """
    )
    raw.execute(
        """
        update out_server_event as event set value_before = (
            select arg_max(definition, at_full) from known_index as known
            where known.index = event.subject and known.database = event.database and at_full < event.happened_at
        )
        where kind = 'index_dropped' and value_before is null
        """
    )


def _load(raw: duckdb.DuckDBPyConnection, before: Link, now: Link) -> None:
    for name, columns in _READ.items():
        nothing = ", ".join(f"null::{tables()[name].column_types[column]} as {column}" for column in columns)
        for side, entry in (("before", before), ("now", now)):
            path = entry.capture.file(name)
            read = (
                f"select * exclude (filename) from ({source(raw, name, columns, [str(path)])})"
                if path
                else f"select {nothing} limit 0"
            )
            raw.execute(f"create or replace temp table {side}_{name} as {read}")
    # databases whose catalogs both read in full
    raw.execute(
        """
        create or replace temp table both_read as
        select database from before_database where is_captured
        intersect
        select database from now_database where is_captured
        """
    )
    raw.execute(
        """
        create or replace temp table hidden as
        select table_name, database from before_unread union select table_name, database from now_unread
        """
    )


def _is_seen(database: str, *names: str) -> str:
    """SQL: both captures read all of these tables in the database."""
    listed = ", ".join(quoted(name) for name in names)
    return f"""{database} in (from both_read) and not exists (
        from hidden where table_name in ({listed}) and (hidden.database is null or hidden.database = {database})
    )"""


def _value(side: str) -> str:
    """A setting as a person writes it: 64MB, 5min."""
    units = (("bytes", 2**30, "GB"), ("bytes", 2**20, "MB"), ("bytes", 2**10, "kB"))
    times = (("ms", 3_600_000, "h"), ("ms", 60_000, "min"), ("ms", 1000, "s"), ("ms", 1, "ms"))
    cases = " ".join(
        f"when {side}.value_{kind} > 0 and {side}.value_{kind} % {size} = 0"
        f" then ({side}.value_{kind} / {size})::bigint || '{name}'"
        for kind, size, name in (*units, *times)
    )
    return f"case {cases} else {side}.value end"


# what the capture's own session set is no setting of the server's; that a standby recovers is told as a failover
_SETTINGS = f"""
    select
        'setting_changed' as kind, null::varchar as database, name as subject,
        {_value("was")} as value_before, {_value("this")} as value_now, null::varchar as detail
    from before_setting as was
    join now_setting as this using (name)
    where was.value is distinct from this.value
        and coalesce(was.source, '') not in ('session', 'client', 'interactive')
        and coalesce(this.source, '') not in ('session', 'client', 'interactive')
        and name not in ('in_hot_standby', 'transaction_read_only', 'transaction_isolation', 'transaction_deferrable')
"""


def _column(side: str) -> str:
    return (
        f"{side}.type || case when {side}.is_not_null then ' not null' else '' end"
        f" || coalesce(' default ' || {side}.default_expression, '')"
        f" || coalesce(' identity ' || {side}.identity, '') || coalesce(' generated ' || {side}.generated, '')"
    )


_COLUMNS = f"""
    select
        'column_changed', database, relation || ' (' || column_name || ')', {_column("was")}, {_column("this")},
        case when was.type is null then 'column added' when this.type is null then 'column dropped' end
    from before_relation_column as was
    full join now_relation_column as this using (database, relation, column_name)
    where ({_column("was")}) is distinct from ({_column("this")})
        and {_is_seen("database", "relation_column", "relation")}
        and (database, relation) in (select (database, relation) from before_relation_column)
        and (database, relation) in (select (database, relation) from now_relation_column)
"""

_RELATIONS = f"""
    select
        case when was.kind is null then 'relation_added' else 'relation_dropped' end, database, relation,
        was.kind, this.kind, null
    from before_relation as was
    full join now_relation as this using (database, relation)
    where (was.kind is null or this.kind is null) and {_is_seen("database", "relation")}
        -- where there are counters they tell it, and nearer to the moment
        and (database, relation) not in (select (database, relation) from now_relation_counter)
        and (database, relation) not in (select (database, relation) from before_relation_counter)
"""

_INDEXES = f"""
    select
        case when was.definition is null then 'index_added' else 'index_dropped' end, database, index,
        was.definition, this.definition, coalesce(was.relation, this.relation)
    from before_relation_index as was
    full join now_relation_index as this using (database, index)
    where (was.definition is null or this.definition is null) and {_is_seen("database", "relation", "relation_index")}
        and (database, index) not in (select (database, index) from now_index_counter)
        and (database, index) not in (select (database, index) from before_index_counter)
"""
