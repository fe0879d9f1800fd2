"""What happened to the server and to its counters, read off the steps from one capture to the next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from queryfit.evidence.engine import duckdb
from queryfit.history import spans
from queryfit.history.chain import Link
from queryfit.history.facts import Step, has_crashed, is_restarted
from queryfit.words import duration

Event = tuple[datetime, str, str | None, str | None, str | None, str | None, str | None]
_LEAST_GAP = timedelta(minutes=10)  # longer than usual by so much; cron is late now and then
_MOST_NAMED = 5  # things named one by one; more of them in one step are the work of one cause, and counted


def usual_interval(links: Sequence[Link]) -> timedelta | None:
    """The median stretch between captures; None where there are too few to tell."""
    stretches = [(now.at - before.at).total_seconds() for before, now in pairwise(links)]
    # of two, either may be the odd one
    return timedelta(seconds=median(stretches)) if len(stretches) > 2 else None  # noqa: PLR2004


def write_events(raw: duckdb.DuckDBPyConnection, steps: Sequence[Step], usual: timedelta | None) -> None:
    """Add the events of these steps, whose `walked_*` tables are made, to `out_server_event`."""
    spans.insert(raw, "out_server_event", [event for step in steps for event in step_events(step, usual)])
    for select in (_EVICTIONS, _STATEMENTS, _DATABASES_RESET, _COUNTERS_RESET, _ADDED_AND_DROPPED, _ANALYZED):
        raw.execute(f"insert into out_server_event {select}")


def step_events(step: Step, usual: timedelta | None) -> list[Event]:
    """What two captures say of the server itself: rows of `server_event`."""
    before, now = step.before, step.now
    events: list[Event] = []

    def add(
        at: datetime, kind: str, was: str | None = None, is_now: str | None = None, detail: str | None = None
    ) -> None:
        events.append((at, kind, None, None, was, is_now, detail))

    stretch = now.at - before.at
    if usual is not None and stretch > max(2 * usual, usual + _LEAST_GAP):
        said = f"no capture for {_words(stretch)}, usually one every {_words(usual)}"
        add(before.at, "gap", before.at.isoformat(), now.at.isoformat(), said)
    if before.version_number != now.version_number:
        add(now.at, "upgraded", before.version, now.version)
    if step.is_other_server or before.is_standby != now.is_standby:
        detail = "another server of the cluster answers now" if step.is_other_server else "it is the same server"
        add(now.at, "failed_over", _part(before.is_standby), _part(now.is_standby), detail)
    if step.is_other_server:
        return events  # all else would compare two servers
    if has_crashed(before, now):
        at = now.started_at if is_restarted(before, now) else now.checkpoints_since
        assert at
        add(at, "crashed", detail="the server recovered, and its statistics began anew")
    elif is_restarted(before, now):
        assert now.started_at
        add(now.started_at, "restarted")
    if step.counts_statements == "reset" and not has_crashed(before, now):
        assert now.reset_at
        add(now.reset_at, "statements_reset", detail="pg_stat_statements began anew")
    return events


def _words(stretch: timedelta) -> str:
    return duration(stretch.total_seconds() * 1000)


def _part(is_standby: bool | None) -> str | None:
    return None if is_standby is None else "standby" if is_standby else "primary"


# one an hour: a store that is too small evicts all the time
_EVICTIONS = """
    with lost as (
        select number, ended_at, count(*) as entries from gone_entry where is_evicted group by number, ended_at
    ),
    counted as (
        select number, ended_at, entries, 0 as remade from lost
        union all
        select number, ended_at, 0, count(*) from walked
        where change = 'remade' and is_evicted group by number, ended_at
    )
    select
        min(ended_at), 'evicted', null, null, null, null,
        case when sum(entries) = 1 then '1 entry' else sum(entries) || ' entries' end
        || ' fell out of pg_stat_statements to make room'
        || case when sum(remade) > 0 then ', ' || sum(remade) || ' came back with counters that began anew' else '' end
    from counted
    group by date_trunc('hour', ended_at - interval 1 microsecond)
"""

_STATEMENTS = f"""
    with lost as (
        select
            before.number, before.ended_at, before.is_evicted, before.database, before.fingerprint,
            sum(before.execution_ms) as execution_ms, false as is_back
        from gone_entry as before
        where not exists (
            from entry as now
            where now.number = before.number and now.database = before.database
                and now.fingerprint = before.fingerprint
        )
        group by all
        union all
        select number, ended_at, is_evicted, database, fingerprint, sum(execution_ms_before), true
        from walked
        where change = 'remade'
        group by all
    ),
    whole as (
        select step.number, sum(entry.execution_ms) as execution_ms
        from step
        join entry on entry.number = step.statements_number
        where step.number in (select number from lost)
        group by step.number
    ),
    ranked as (
        select
            lost.*, lost.execution_ms / nullif(whole.execution_ms, 0) as share,
            count(*) over (partition by lost.number) as together
        from lost
        join whole using (number)
    )
    select
        ended_at, case when is_evicted then 'evicted' else 'statements_reset' end, database, fingerprint, null, null,
        case when is_back then 'its counters began anew' else 'it is no longer counted' end
    from ranked
    where share >= 0.01 or together <= {_MOST_NAMED}
"""

_DATABASES_RESET = """
    select
        case when counters_since >= started_at then counters_since else ended_at end, 'counters_reset', database,
        null, null, null, 'the counters of the database began anew'
    from walked_database
    where says = 'since' and was_there and not has_crashed
"""

_COUNTERS_RESET = f"""
    with fallen as (
        select number, ended_at, database, relation as subject, says, was_there, has_crashed
        from walked_relation_counter
        union all
        select number, ended_at, database, index, says, was_there, has_crashed
        from walked_index_counter
    ),
    alone as (
        select *, count(*) over (partition by number, database) as together
        from fallen
        where says = 'since' and was_there and not has_crashed and not exists (
            from walked_database as whole
            where whole.number = fallen.number and whole.database = fallen.database and whole.says = 'since'
        )
    )
    select ended_at, 'counters_reset', database, subject, null, null, 'its counters began anew'
    from alone
    where together <= {_MOST_NAMED}
    union all
    select any_value(ended_at), 'counters_reset', database, null, null, null,
        'the counters of ' || count(*) || ' tables and indexes began anew'
    from alone
    where together > {_MOST_NAMED}
    group by number, database
"""

_ADDED_AND_DROPPED = """
    select ended_at, 'relation_added', database, relation, null, null, null
    from walked_relation_counter where is_added
    union all
    select ended_at, 'relation_dropped', database, relation, null, null, null
    from gone_relation_counter where is_dropped
    union all
    select ended_at, 'index_added', database, index, null, null, relation
    from walked_index_counter where is_added
    union all
    select ended_at, 'index_dropped', database, index, null, null, relation
    from gone_index_counter where is_dropped
"""

# the last one of a day: a busy table is analyzed every few minutes
_ANALYZED = """
    select
        max(analyzed_at), 'analyzed', database, relation, min(analyzed_at_before)::varchar, max(analyzed_at)::varchar,
        case when count(*) > 1 then 'at least ' || count(*) || ' times since the capture before' end
    from walked_relation_counter
    where was_there and not is_elsewhere and analyzed_at is distinct from analyzed_at_before and analyzed_at is not null
    group by database, relation
"""
