"""What advice is made of: a workload, candidates, and the set that was chosen with what it gives and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from queryfit.lab.planner import Index, Query, Size


@dataclass(frozen=True, slots=True)
class Weighted:
    """A statement of the workload: its variants share the weight evenly.

    `weight` turns planner cost into the workload's unit: calls for a file of statements; for captured ones such that
    weight times cost today is the statement's time per day in ms.
    """

    fingerprint: str  # or its name in a file
    text: str  # as the person knows it
    queries: tuple[Query, ...]
    weight: float
    calls_per_day: float | None = None
    execution_ms_per_day: float | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A statement that is not judged: `not checked`, never clean."""

    fingerprint: str
    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Statements with weights. `unit` is what weight times cost is: `ms per day` or `cost`."""

    statements: tuple[Weighted, ...]
    skipped: tuple[Skipped, ...] = ()
    unit: str = "cost"
    database: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index that might help, or the existing one that it would replace."""

    index: Index
    fingerprints: frozenset[str]  # statements that it was made for
    why: str  # equality on customer_id, order by created_at
    replaces: tuple[str, ...] = ()  # existing indexes, schema.name, that are not needed beside it
    size: Size | None = None
    upkeep: float = 0.0  # what maintaining it costs, in the workload's unit
    root: str | None = None  # partitioned table, where `index.relation` is one


@dataclass(frozen=True, slots=True)
class Existing:
    """An index that is there: what it holds, what keeps it, what it costs."""

    name: str  # schema.name
    index: Index
    size_bytes: int
    upkeep: float
    is_removable: bool  # no constraint, no replica identity, no foreign key rests on it; counters say that nobody reads
    reason: str | None = None  # why it must stay
    is_replaceable: bool = False  # only plans rest on it: it can go where something comes that does all it does
    redundant_beside: str | None = None  # an index that is there, does all that it does and stays
    why: str | None = None  # why it may go
    serves: tuple[str, ...] = ()  # foreign keys that it, or another that leads with their columns, stays for


@dataclass(frozen=True, slots=True)
class Chosen:
    """An index of the set: what the set would lose without it, in the workload's unit."""

    candidate: Candidate
    name: str  # that it will have
    saving: float
    fingerprints: tuple[str, ...]  # statements whose plans use it
    build_ms: float | None = None  # how long CREATE INDEX CONCURRENTLY may take
    disk_bytes: int | None = None  # that the build takes at its peak, the index itself included


@dataclass(frozen=True, slots=True)
class Removal:
    """An existing index that the set does without."""

    existing: Existing
    reason: str  # unused, redundant beside …, replaced by …
    saving: float


@dataclass(frozen=True, slots=True)
class Rejected:
    candidate: Candidate
    reason: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What the set does to one statement, in planner cost of one call (mean over its variants)."""

    fingerprint: str
    cost_before: float
    cost_after: float
    weight: float
    indexes: tuple[str, ...]  # names of chosen ones in its plans


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the curve: what can be reached within a budget."""

    budget_bytes: int | None
    size_bytes: int
    cost_after: float  # upkeep included
    bound: float  # nothing cheaper can be made of these candidates
    indexes: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer. Costs are sums over the workload in its unit, upkeep of what is chosen included."""

    workload: Workload
    cost_before: float
    cost_after: float
    bound: float
    size_bytes: int
    upkeep: float
    chosen: tuple[Chosen, ...]
    removals: tuple[Removal, ...]
    effects: tuple[Effect, ...]
    rejected: tuple[Rejected, ...]
    curve: tuple[Point, ...]
    planner_calls: int
    seconds: float
    is_complete: bool  # false: stopped at a limit, the best so far
    notes: tuple[str, ...] = ()
    measured: Mapping[str, float] = field(default_factory=dict)
    budget_bytes: int | None = None  # that the set had to keep to
    tolerance: float | None = None  # how much slower a statement was allowed to get: 0.1 is 10 %
    server: str | None = None  # what was captured, in a line: PostgreSQL 18.1, database shop
    planner: str = "lab"  # who planned: lab, or hypopg
