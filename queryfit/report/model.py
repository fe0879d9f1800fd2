"""The content of a report: facts only, in the units that the names say. Times are naive UTC, as in evidence.

It is a contract: `render/report_json.py` prints it under a version. Nothing in it is shortened or escaped; texts and
names come from strangers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from queryfit.findings import Finding, NotChecked
from queryfit.history.advice.outcomes import Calibration, Outcome

StatementKey = tuple[str, str]  # database, fingerprint


@dataclass(frozen=True, slots=True)
class Server:
    """Whom the report is about."""

    system_identifier: str
    version: str
    provider: str
    is_standby: bool
    databases: Sequence[str]


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, from the capture that begins it to the one that ends it."""

    since: datetime
    until: datetime
    covered_s: float  # seconds of it in which the counters of statements were followed
    captures: int

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()


@dataclass(frozen=True, slots=True)
class Totals:
    """All statements together; null where nothing was followed."""

    execution_ms_per_day: float | None
    calls_per_day: float | None
    statements: int


@dataclass(frozen=True, slots=True)
class Series:
    """Values by step; null where nothing is known. `key` is null for all others together."""

    key: StatementKey | None
    label: str  # text of the statement, or name
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Several series over the same steps, the first one begins at `begins`."""

    begins: datetime
    step_s: int
    unit: str  # ms_per_hour, sessions, connections
    series: Sequence[Series]

    @property
    def steps(self) -> int:
        return len(self.series[0].values) if self.series else 0


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node of a plan. `cost_share` is what arises in the node itself, of the whole plan's cost."""

    depth: int
    node_type: str
    relation: str | None
    index: str | None
    rows: float
    loops: float
    cost_share: float
    condition: str | None
    filter: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as the planner made it."""

    origin: str
    total_cost: float
    nodes: Sequence[PlanNode]


@dataclass(frozen=True, slots=True)
class StatementBefore:
    """The same statement in the period before."""

    calls_per_day: float
    mean_ms: float | None
    execution_ms_per_day: float


@dataclass(frozen=True, slots=True)
class StatementChange:
    """How a statement's behaviour changed, as the table `statement_change` says. Null where a value is not known."""

    database: str
    fingerprint: str
    text: str
    change: str  # new, gone, slower, faster, busier, quieter
    changed_at: datetime | None
    calls_per_day_before: float | None
    calls_per_day: float | None
    mean_ms_before: float | None
    mean_ms: float | None
    execution_ms_per_day_before: float | None
    execution_ms_per_day: float | None
    plan_before: str | None
    plan_now: str | None
    reason: str | None

    @property
    def added_ms_per_day(self) -> float:
        """Statement time a day that the change brought; negative where it took some away."""
        return (self.execution_ms_per_day or 0) - (self.execution_ms_per_day_before or 0)


@dataclass(frozen=True, slots=True)
class Statement:
    """One of the statements that took the most time in the period."""

    rank: int
    database: str
    fingerprint: str
    text: str
    kind: str
    calls: int
    execution_ms: float
    execution_ms_per_day: float
    calls_per_day: float
    mean_ms: float | None
    rows_per_call: float | None
    blocks_per_call: float | None  # shared blocks hit and read, 8 kB
    temp_bytes: float
    time_share: float  # of the statement time of the period
    is_lower_bound: bool
    before: StatementBefore | None
    trend: Sequence[float | None]  # execution time, ms an hour, by step of the period
    change: StatementChange | None
    plan: Plan | None
    findings: Sequence[str]  # ids

    @property
    def key(self) -> StatementKey:
        return self.database, self.fingerprint


@dataclass(frozen=True, slots=True)
class FixedFinding:
    """A finding that is there no more; `why` says how that is known, where it is."""

    id: str
    rule: str
    title: str
    subject: str
    severity: str | None
    fixed_at: datetime | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What the judge found in the newest full capture, in rank order, and what is there no more since the period began.

    `judged_at` is null where there was no full capture to judge; `compared_at` where there was none to compare with.
    `gone` are those that are not found any more without a sign that somebody mended them; `suppressed` says how many
    are left out by a suppression or a baseline.
    """

    judged_at: datetime | None
    compared_at: datetime | None
    found: Sequence[Finding]
    fixed: Sequence[FixedFinding]
    captured_ms_per_day: float | None
    rules_run: int
    gone: Sequence[FixedFinding] = ()
    suppressed: int = 0

    def of_state(self, *states: str) -> list[Finding]:
        return [finding for finding in self.found if finding.state in states]


@dataclass(frozen=True, slots=True)
class IndexUse:
    """An index in the period. `scans` is null where its counters could not be read."""

    database: str
    relation: str
    index: str
    columns: str
    size_bytes: int | None
    scans: int | None
    scans_before: int | None
    is_constraint: bool  # unique, or behind a constraint: needed without being scanned
    added_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Indexes:
    """How indexes were used. `unused` were not scanned in the period and back no constraint, the largest first."""

    total: int
    unused: Sequence[IndexUse]
    unused_total: int
    unused_bytes: int
    new: Sequence[IndexUse]
    most_used: Sequence[IndexUse]


@dataclass(frozen=True, slots=True)
class TableGrowth:
    """A table over the period. `grown_bytes` counts the table and its indexes, null with fewer than two sizes."""

    database: str
    relation: str
    size_bytes: int | None
    index_bytes: int | None
    grown_bytes: int | None
    grown_s: float | None  # seconds between the two sizes
    live_rows: int | None
    dead_rows: int | None
    inserted_rows: int
    updated_rows: int
    deleted_rows: int
    is_lower_bound: bool
    trend: Sequence[float | None]  # size with indexes, bytes, by day


@dataclass(frozen=True, slots=True)
class Wait:
    """What active sessions waited for; `event` is null for those that did not wait."""

    wait_type: str | None
    event: str | None
    mean_sessions: float
    most_sessions: int


@dataclass(frozen=True, slots=True)
class Client:
    """Sessions of one role and application."""

    role: str | None
    application: str | None
    mean_sessions: float
    most_sessions: int
    longest_transaction_ms: float | None


@dataclass(frozen=True, slots=True)
class Sessions:
    """Connections and what sessions did, from looks at them."""

    looks: int
    limit: int | None  # max_connections
    most: int | None
    most_at: datetime | None
    connections: Timeline | None
    states: Timeline | None
    waits: Timeline | None
    events: Sequence[Wait]
    clients: Sequence[Client]


@dataclass(frozen=True, slots=True)
class Trend:
    """Where something is heading; see the evidence table `trend`."""

    kind: str
    database: str | None
    subject: str
    unit: str
    value: float
    per_day: float
    per_day_low: float
    per_day_high: float
    limit_value: float | None
    limit_name: str | None
    days_left: float | None
    days_left_low: float | None
    days_left_high: float | None
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to the server; several of one kind in one day are one, `times` says how many."""

    happened_at: datetime
    kind: str
    database: str | None
    subject: str | None
    value_before: str | None
    value_now: str | None
    detail: str | None
    times: int = 1


@dataclass(frozen=True, slots=True)
class Headline:
    """What changed, in plain words: the one thing that matters first, then the rest of the paragraph."""

    kind: str  # what it is: urgent, crash, limit, slower, busier, load, finding, faster, quiet
    first: str
    rest: Sequence[str]
    subject: str  # the first thing, short: the subject line of a mail

    @property
    def paragraph(self) -> str:
        return " ".join((self.first, *self.rest))


@dataclass(frozen=True, slots=True)
class Method:
    """How the numbers were made. `gaps` are stretches without a capture, `unusable` captures that were skipped."""

    grains: Sequence[str]
    gaps: Sequence[tuple[datetime, datetime]]
    lower_bound_statements: int
    resets: int
    unusable: Mapping[str, str]  # name of the capture: why
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Content:
    """A report. Sections without anything to say are empty or null; why stands in `not_checked` and `method`."""

    server: Server
    period: Period
    before: Period | None
    headline: Headline
    totals: Totals
    totals_before: Totals | None
    load: Timeline | None
    statements: Sequence[Statement]
    changes: Sequence[StatementChange]
    findings: Findings
    calibration: Calibration | None
    outcomes: Sequence[Outcome]
    indexes: Indexes
    tables: Sequence[TableGrowth]
    sessions: Sessions
    trends: Sequence[Trend]
    loops: Sequence[Finding]  # N+1
    log_errors: Sequence[Mapping[str, Any]] | None  # null: no logs were read
    events: Sequence[Event]
    not_checked: Sequence[NotChecked]
    method: Method
