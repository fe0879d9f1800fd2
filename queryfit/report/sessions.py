"""Connections of a period, and what sessions did and waited for, from looks at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from queryfit.evidence.session import Session
from queryfit.report.model import Client, Series, Sessions, Timeline, Wait
from queryfit.report.periods import PARTS, Grid, Periods

MOST_EVENTS = 12
MOST_CLIENTS = 10
STATES = ("active", "idle in transaction", "idle", "other")
_NOT_WAITING = "running"

_LIMIT = "select value_number from setting where name = 'max_connections'"
_CONNECTIONS = """
    select started_at, ended_at, sum(coalesce(most_connections, connections)) as most
    from database_span
    where started_at >= $since and ended_at <= $until
    group by started_at, ended_at
    having most is not null
    order by started_at
"""
# a look that saw no session of a kind counts as zero of it, so sums are divided by all looks of the span
_BY_KIND = f"""
    with {PARTS},
    look as (
        select started_at, max(samples) as samples
        from session_span where started_at >= $since and ended_at <= $until group by started_at
    ),
    looks as (
        select part.number, sum(look.samples * part.share) as looks
        from look join part on part.started_at = look.started_at group by part.number
    ),
    seen as (
        select part.number, {{kind}} as kind,
            sum(session_span.mean_sessions * session_span.samples * part.share) as seen
        from session_span
        join part on part.started_at = session_span.started_at
        where {{condition}}
        group by part.number, kind
    )
    select looks.number, seen.kind, coalesce(seen.seen, 0) / looks.looks as sessions
    from looks
    left join seen on seen.number = looks.number  -- LEFT JOIN: nobody was there
    where looks.looks > 0
    order by looks.number
"""
_STATE = (
    "case when state = 'active' then 'active' when state like 'idle in transaction%' then 'idle in transaction'"
    " when state = 'idle' then 'idle' else 'other' end"
)
_LOOKS = """
    select coalesce(sum(samples), 0) from (
        select max(samples) as samples
        from session_span where started_at >= $since and ended_at <= $until group by started_at
    ) as look
"""
_WAITS = """
    select wait_type, wait_event, sum(mean_sessions * samples) / $looks, max(most_sessions)
    from session_span
    where started_at >= $since and ended_at <= $until and state = 'active'
    group by wait_type, wait_event
    order by 3 desc, 1, 2
    limit $most
"""
_CLIENTS = """
    select role, application, sum(mean_sessions * samples) / $looks, max(most), max(longest)
    from (
        select started_at, role, application, sum(mean_sessions * samples) / max(samples) as mean_sessions,
            max(samples) as samples, max(most_sessions) as most, max(longest_transaction_ms) as longest
        from session_span
        where started_at >= $since and ended_at <= $until and (role is not null or application is not null)
        group by started_at, role, application
    ) as client
    group by role, application
    order by 3 desc, 1, 2
    limit $most
"""


def sessions(session: Session, periods: Periods) -> Sessions:
    """What the looks of the period saw; null and empty where there were none."""
    between = {"since": periods.now.since, "until": periods.now.until}
    rows = session.query(_CONNECTIONS, between).rows
    (looks,) = session.query(_LOOKS, between).rows[0]
    limit = next((value for (value,) in session.query(_LIMIT).rows), None)
    most = max(rows, key=lambda row: row[2], default=None)
    grid = periods.grid()
    by_look = {**between, "looks": float(looks or 1)}
    return Sessions(
        looks=int(looks),
        limit=int(limit) if limit is not None else None,
        most=int(most[2]) if most else None,
        most_at=most[1] if most else None,
        connections=_connections(rows, grid) if rows else None,
        states=_by_kind(session, between, grid, kind=_STATE, condition="database is not null", first=STATES),
        waits=_by_kind(
            session,
            between,
            grid,
            kind=f"coalesce(wait_type, '{_NOT_WAITING}')",
            condition="state = 'active'",
            first=(_NOT_WAITING,),
        ),
        events=[Wait(*row) for row in session.query(_WAITS, {**by_look, "most": MOST_EVENTS}).rows],
        clients=[Client(*row) for row in session.query(_CLIENTS, {**by_look, "most": MOST_CLIENTS}).rows],
    )


def _connections(rows: Sequence[tuple[Any, ...]], grid: Grid) -> Timeline:
    """The most connections in each step."""
    values: list[float | None] = [None] * grid.steps
    for started_at, ended_at, most in rows:
        for step in range(_step(started_at, grid), min(_step(ended_at, grid, is_end=True), grid.steps - 1) + 1):
            values[step] = max(values[step] or 0.0, float(most))
    return Timeline(grid.begins, grid.step_s, "connections", [Series(None, "connections", values)])


def _step(time: datetime, grid: Grid, *, is_end: bool = False) -> int:
    seconds = (time - grid.begins).total_seconds()
    return max(int(seconds // grid.step_s) - (is_end and seconds % grid.step_s == 0), 0)


def _by_kind(
    session: Session,
    between: Mapping[str, object],
    grid: Grid,
    *,
    kind: str,
    condition: str,
    first: Sequence[str],
) -> Timeline | None:
    """Sessions by step, one series a kind: those named first, then by size. None where nothing was seen."""
    rows = session.query(_BY_KIND.format(kind=kind, condition=condition), {**between, **grid.parameters}).rows
    looked = {number for number, _, _ in rows}
    sums: dict[str, dict[int, float]] = {}
    for number, name, count in rows:
        if name is not None:
            sums.setdefault(str(name), {})[number] = float(count)
    if not sums:
        return None
    order = sorted(
        sums, key=lambda name: (first.index(name) if name in first else len(first), -sum(sums[name].values()), name)
    )
    series = [
        Series(None, name, [sums[name].get(step, 0.0) if step in looked else None for step in range(grid.steps)])
        for name in order
    ]
    return Timeline(grid.begins, grid.step_s, "sessions", series)
