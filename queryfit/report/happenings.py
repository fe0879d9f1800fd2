"""Trends with their dates, and what happened to the server in a period."""

from __future__ import annotations

from queryfit.evidence.session import Session
from queryfit.report.model import Event, Trend
from queryfit.report.periods import Periods

MOST_TRENDS = 20
FAR_DAYS = 3_650.0  # what lies beyond ten years is no news
MOST_EVENTS = 60
FALSIFIES = ("statements_reset", "counters_reset", "restarted", "crashed", "failed_over", "upgraded", "evicted")

_TRENDS = """
    select kind, database, subject, unit, value, per_day, per_day_low, per_day_high, limit_value, limit_name,
        days_left, days_left_low, days_left_high, last_at
    from trend
    where coalesce(days_left, days_left_low) <= $far
        or (kind in ('table_size', 'database_size') and per_day_low > 0)  -- what grows, though nothing stops it
    order by days_left nulls last, days_left_low nulls last, per_day desc, kind, subject
    limit $most
"""
# an analyze says nothing to a reader, and many evictions or gaps of a day are one
_EVENTS = """
    select
        min(happened_at), kind, database,
        case when kind in ('evicted', 'gap') then null else subject end as about,
        arg_min(value_before, happened_at), arg_max(value_now, happened_at),
        case when count(*) = 1 then min(detail) end, count(*)
    from server_event
    where happened_at > $since and happened_at <= $until and kind <> 'analyzed'
        and not (kind = 'evicted' and subject is not null)  -- single ones are counted by the one without subject
    group by
        kind, database, about, happened_at::date,
        case when kind in ('evicted', 'gap', 'setting_changed') then null else happened_at end
    order by 1, 2, 3, 4
    limit $most
"""
_LOWER_BOUNDS = """
    select count(distinct (database, fingerprint)) from statement_span
    where started_at >= $since and ended_at <= $until and is_lower_bound
"""


def trends(session: Session) -> list[Trend]:
    """Where things are heading, the nearest limit first."""
    return [Trend(*row) for row in session.query(_TRENDS, {"most": MOST_TRENDS, "far": FAR_DAYS}).rows]


def events(session: Session, periods: Periods) -> list[Event]:
    """What happened in the period, oldest first."""
    between = {"since": periods.now.since, "until": periods.now.until}
    return [Event(*row) for row in session.query(_EVENTS, {**between, "most": MOST_EVENTS}).rows]


def lower_bounds(session: Session, periods: Periods) -> int:
    """How many statements did at least what is said of them."""
    return int(session.query(_LOWER_BOUNDS, {"since": periods.now.since, "until": periods.now.until}).rows[0][0])
