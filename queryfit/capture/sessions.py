"""Sessions and lock waits, one sample at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryfit.capture.statements import HIDDEN

if TYPE_CHECKING:
    from queryfit.capture.scope import Scope

Row = dict[str, Any]

ACTIVITY = """
    select
        statement_timestamp() at time zone 'UTC' as sampled_at,
        a.pid,
        a.leader_pid,
        a.backend_type,
        a.datname::text as database,
        a.usename::text as role,
        a.application_name as application,
        coalesce(host(a.client_addr), case when a.client_port = -1 then 'local' end) as client,
        a.state,
        a.wait_event_type as wait_type,
        a.wait_event as wait_event,
        extract(epoch from clock_timestamp() - a.backend_start)::float8 * 1000 as session_ms,
        extract(epoch from clock_timestamp() - a.xact_start)::float8 * 1000 as transaction_ms,
        extract(epoch from clock_timestamp() - a.query_start)::float8 * 1000 as statement_ms,
        extract(epoch from clock_timestamp() - a.state_change)::float8 * 1000 as state_ms,
        age(a.backend_xid)::int8 as xid_age_xids,
        age(a.backend_xmin)::int8 as xmin_age_xids,
        {queryid} as queryid,
        a.query as text,
        a.pid = pg_backend_pid() as is_own
    from pg_stat_activity as a
"""

LOCK_WAITS = """
    select
        statement_timestamp() at time zone 'UTC' as sampled_at,
        a.pid,
        blocker.pid as blocker_pid,
        case when c.oid is not null then quote_ident(n.nspname) || '.' || quote_ident(c.relname) end as relation,
        l.mode as lock_mode,
        extract(epoch from clock_timestamp() - coalesce({wait_start}, a.query_start))::float8 * 1000 as waited_ms
    from pg_stat_activity as a
    join pg_locks as l on l.pid = a.pid and not l.granted
    cross join lateral unnest(pg_blocking_pids(a.pid)) as blocker (pid)
    -- the names of other databases' relations are not to be had here
    left join pg_class as c
        on l.locktype = 'relation' and c.oid = l.relation
        and l.database = (select oid from pg_database where datname = current_database())
    left join pg_namespace as n on n.oid = c.relnamespace
"""


def read_activity(scope: Scope) -> list[Row]:
    """Rows of the evidence table `activity` without fingerprints; `text` is null where hidden or empty."""
    queryid = "a.query_id" if scope.is_at_least(14) else "null::int8"
    rows = scope.read("activity", ACTIVITY.format(queryid=queryid))
    hidden = 0
    for row in rows:
        if row["text"] == HIDDEN:
            hidden += 1
            row["text"] = row["state"] = row["queryid"] = None
        elif not row["text"]:
            row["text"] = None
    if hidden:
        scope.gaps.add(
            "activity",
            "state and statement of other roles' sessions are hidden from this role",
            hint=f"grant pg_monitor to {scope.role};",
        )
    return rows


def read_lock_waits(scope: Scope) -> list[Row]:
    """Rows of the evidence table `lock_wait`: one per waiting backend and blocker."""
    wait_start = "l.waitstart" if scope.is_at_least(14) else "null::timestamptz"
    rows = scope.read("lock_wait", LOCK_WAITS.format(wait_start=wait_start))
    pairs = {(row["pid"], row["blocker_pid"]): row for row in rows}  # a parallel leader is listed once a worker
    return list(pairs.values())
