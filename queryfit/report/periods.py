"""Which spans belong to the period and to the one before, and the steps that its charts have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from queryfit.errors import QueryfitError
from queryfit.evidence.session import Session
from queryfit.report.model import Period

MOST_STEPS = 170  # more points than that are narrower than a line of a chart
_STEPS_S = (300, 900, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, 86_400, 7 * 86_400)
_GAP_TIMES = 3  # a span that is so much longer than most is a gap
_LEAST_GAP_S = 1_800
_ALIKE = 3  # a period that is watched so many times longer than the other holds other hours: a night is no week


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps of equal length that cover a period; the first begins at `begins`, on a whole step in UTC."""

    begins: datetime
    step_s: int
    steps: int

    @property
    def parameters(self) -> dict[str, object]:
        """What `PARTS` binds."""
        return {"grid_begins": self.begins, "step_s": self.step_s, "steps": self.steps}


# the share of each span of a period that lies in each step: a span that was merged to a day is spread evenly over it
PARTS = """
    step as (
        select number, epoch($grid_begins::timestamp) + number * $step_s as begins
        from (select unnest(range($steps)) as number) as numbers
    ),
    part as (
        select
            span.started_at,
            span.covered_s,
            step.number,
            (least(epoch(span.ended_at), step.begins + $step_s) - greatest(epoch(span.started_at), step.begins))
                / (epoch(span.ended_at) - epoch(span.started_at)) as share
        from span
        join step on epoch(span.started_at) < step.begins + $step_s and epoch(span.ended_at) > step.begins
        where span.started_at >= $since and span.ended_at <= $until and span.ended_at > span.started_at
    )
"""


@dataclass(frozen=True, slots=True)
class Periods:
    """The period, the one before if its spans are there, and how the spans were cut."""

    now: Period
    before: Period | None
    grains: Sequence[str]
    gaps: Sequence[tuple[datetime, datetime]]

    @property
    def parameters(self) -> dict[str, object]:
        """`$since`, `$until` and, as `$since_before` and `$until_before`, the period before (empty without one)."""
        before = self.before
        return {
            "since": self.now.since,
            "until": self.now.until,
            "since_before": before.since if before else self.now.since,
            "until_before": before.until if before else self.now.since,
        }

    def grid(self, most_steps: int = MOST_STEPS) -> Grid:
        """The finest steps of which the period has at most `most_steps`."""
        step_s = next((step for step in _STEPS_S if self.now.seconds / step <= most_steps), _STEPS_S[-1])
        longest = max(_span_s(grain) for grain in self.grains)
        step_s = max(step_s, min(longest, 86_400))
        begins = _floor(self.now.since, step_s)
        steps = -(-int((self.now.until - begins).total_seconds()) // step_s)
        return Grid(begins, step_s, max(steps, 1))


@dataclass(frozen=True, slots=True)
class _Span:
    started_at: datetime
    ended_at: datetime
    grain: str
    captures: int
    covered_s: float

    @property
    def middle(self) -> datetime:
        return self.started_at + (self.ended_at - self.started_at) / 2

    @property
    def seconds(self) -> float:
        return (self.ended_at - self.started_at).total_seconds()


def periods(session: Session, since: datetime, until: datetime) -> Periods:
    """The spans between two times (naive UTC), and those of as long a time before.

    A span belongs where its middle lies: none is cut. Raises QueryfitError where there is no span in the period.
    """
    rows = session.query("select started_at, ended_at, grain, captures, covered_s from span order by started_at").rows
    spans = [_Span(*row) for row in rows]
    now = [span for span in spans if since <= span.middle < until]
    if not now:
        raise QueryfitError(
            f"there are no two captures between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC",
            hint="`queryfit history` lists the captures; `queryfit schedule` takes them regularly",
        )
    before = [span for span in spans if since - (until - since) <= span.middle < since]
    usual = {grain: median(span.seconds for span in now if span.grain == grain) for grain in {s.grain for s in now}}
    return Periods(
        now=_period(now),
        before=_alike(_period(before), _period(now)) if before else None,
        grains=sorted({span.grain for span in now}, key=_span_s),
        gaps=[
            (span.started_at, span.ended_at)
            for span in now
            if span.seconds > max(_GAP_TIMES * usual[span.grain], _LEAST_GAP_S) and span.captures <= 1
        ],
    )


def _period(spans: Sequence[_Span]) -> Period:
    return Period(
        since=spans[0].started_at,
        until=spans[-1].ended_at,
        covered_s=sum(span.covered_s for span in spans),
        captures=sum(span.captures for span in spans),
    )


def _alike(before: Period, now: Period) -> Period | None:
    """The period before, where it can be held against this one."""
    least, most = sorted((before.covered_s, now.covered_s))
    return before if least * _ALIKE > most else None


def _span_s(grain: str) -> int:
    return {"hour": 3_600, "day": 86_400}.get(grain, 300)


def _floor(time: datetime, step_s: int) -> datetime:
    begin = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    return begin + timedelta(seconds=(time - begin).total_seconds() // step_s * step_s)
