"""What a measurement is asked for, and what it says: times and buffers of statements without and with a set."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from queryfit.advise.model import Advice, Skipped
from queryfit.lab.planner import Query

CONFIDENCE = 0.95


def _silent(_line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """Limits of a measurement, and what the person allowed. Times in seconds.

    `tell` gets one line at a time: first what will be done, then how far it is.
    """

    rounds: int = 7  # pairs of a run without and a run with; 6 are the fewest that give 95 % confidence
    most_rounds: int = 25  # of a quick one, as long as `quick_s` is not used up: short times vary most
    quick_s: float = 1
    doubt_rounds: int = 19  # of one that may be too slow with the set, and may be not: a median within 5 to 15 of them
    least_rounds: int = 3  # of a slow statement, once `statement_s` is used up
    statement_s: float = 120  # for all runs of one statement
    run_s: float = 60  # statement_timeout of one run
    total_s: float = 1800  # for everything, building included
    controls: int = 3  # statements whose plan the set does not change, run to see how much times vary by themselves
    tolerance: float = 0.05  # a statement is slower or faster from this share on
    most_slower: float | None = None  # what makes a statement slower by more is withdrawn; null: it is only told
    size_bytes: int | None = None  # of the set as estimated, to compare with the free disk
    is_anyway: bool = False  # also on a server that is in use or has standbys
    is_writing: bool = False  # also INSERT, UPDATE, DELETE, MERGE, each rolled back
    is_unchanged_run: bool = False  # also statements whose plan the set does not change
    tell: Callable[[str], None] = _silent


@dataclass(frozen=True, slots=True)
class Trial:
    """A statement to be run: weight in calls, and what the planner predicted of the set."""

    fingerprint: str
    query: Query
    weight: float = 1.0
    predicted_ratio: float | None = None  # planner cost with the set / without
    predicted_indexes: frozenset[str] = frozenset()  # names of the set's indexes in the predicted plan


@dataclass(frozen=True, slots=True)
class Side:
    """The runs of one statement under one set: planning and execution time of each in ms, without the warm-up."""

    times_ms: tuple[float, ...]
    hit_blocks: int | None  # of the warm-up run, planning not included; null where it ended by its time limit
    read_blocks: int | None
    indexes: frozenset[str]  # names that plans use; of the set by the set's names
    is_timed_out: bool = False  # ended by its time limit: `times_ms` is that limit, a lower bound

    @property
    def median_ms(self) -> float:
        return statistics.median(self.times_ms)

    @property
    def quartiles_ms(self) -> tuple[float, float]:
        if len(self.times_ms) == 1:
            return self.times_ms[0], self.times_ms[0]
        low, _, high = statistics.quantiles(self.times_ms, n=4, method="inclusive")
        return low, high

    @property
    def blocks(self) -> int | None:
        return None if self.hit_blocks is None or self.read_blocks is None else self.hit_blocks + self.read_blocks


@dataclass(frozen=True, slots=True)
class Interval:
    """Median of paired ratios (with the set / without) and the interval that holds it with this confidence."""

    ratio: float
    low: float
    high: float
    confidence: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Interval:
        """The order statistics around the median: exact for any distribution, whatever the outliers.

        The k-th smallest and k-th largest of n values enclose the median with probability 1 - 2 P(B < k), B binomial
        (n, 1/2): smallest and largest of 6 do so with 96.9 %. With fewer values the confidence is what it is.
        """
        ordered = sorted(ratios)
        count = len(ordered)
        rank, missed = 1, 2 * 0.5**count
        while rank < (count + 1) // 2:
            more = missed + 2 * math.comb(count, rank) * 0.5**count
            if more > 1 - CONFIDENCE:
                break
            rank, missed = rank + 1, more
        return cls(statistics.median(ordered), ordered[rank - 1], ordered[count - rank], max(0.0, 1 - missed))


@dataclass(frozen=True)
class Outcome:
    """One statement, measured. `before` is the database as it is, `after` the same with the set."""

    trial: Trial
    before: Side
    after: Side
    tolerance: float
    is_control: bool = False  # its plan is the same on both sides

    @cached_property
    def interval(self) -> Interval:
        """How the time changed; where a run ended by its time limit, a bound: see `is_bound`."""
        if self.is_bound:
            ratio = self.after.median_ms / self.before.median_ms
            return Interval(ratio, ratio, ratio, 0.0)
        pairs = zip(self.before.times_ms, self.after.times_ms, strict=True)
        return Interval.of([after / before for before, after in pairs])

    @property
    def ratio(self) -> float:
        return self.interval.ratio

    @property
    def is_bound(self) -> bool:
        """One side reached its time limit: the true ratio is further from 1 than `ratio`."""
        return self.before.is_timed_out or self.after.is_timed_out

    @property
    def is_slower(self) -> bool:
        """Slower beyond what its own runs vary by."""
        return self.ratio > 1 + self.tolerance and self.interval.low > 1

    @property
    def is_faster(self) -> bool:
        return self.ratio < 1 - self.tolerance and self.interval.high < 1

    @property
    def is_as_predicted(self) -> bool:
        """The plan uses the indexes of the set that it was predicted to use, or others of the set beside them."""
        return self.trial.predicted_indexes <= self.after.indexes


@dataclass(frozen=True, slots=True)
class Built:
    """An index of the set as it was built."""

    name: str
    size_bytes: int
    build_s: float


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An index of the set that the clock spoke against, whatever the planner said of it."""

    name: str
    fingerprint: str  # of the statement that was slower with it
    ratio: float  # its time with the set / without


Manner = Literal["transaction", "concurrent"]


@dataclass(frozen=True)
class Measured:
    """The answer. `unchanged` are statements that plan the same with the set and were not run."""

    manner: Manner
    outcomes: tuple[Outcome, ...]
    unchanged: tuple[Trial, ...]
    skipped: tuple[Skipped, ...]
    built: tuple[Built, ...]
    not_built: tuple[tuple[str, str], ...]  # name and reason
    hidden: tuple[str, ...]  # existing indexes that the set does without, hidden while it was measured
    not_hidden: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    seconds: float
    is_complete: bool  # false: a limit or another session ended it, `skipped` says for which statements
    withdrawn: tuple[Withdrawn, ...] = ()  # what `outcomes` are without
    restored: tuple[str, ...] = ()  # existing indexes that the set would have replaced by what was withdrawn

    @property
    def before_ms(self) -> float:
        """Sum of weight times median over what was run."""
        return sum(outcome.trial.weight * outcome.before.median_ms for outcome in self.outcomes)

    @property
    def after_ms(self) -> float:
        return sum(outcome.trial.weight * outcome.after.median_ms for outcome in self.outcomes)

    @property
    def slower(self) -> tuple[Outcome, ...]:
        """Statements that the set makes slower beyond noise, worst first."""
        found = [outcome for outcome in self.outcomes if outcome.is_slower and not outcome.is_control]
        return tuple(sorted(found, key=lambda outcome: -outcome.ratio))

    @property
    def noise(self) -> tuple[float, float] | None:
        """Smallest and largest ratio of statements whose plan is the same: what a ratio means nothing within."""
        ratios = [outcome.ratio for outcome in self.outcomes if outcome.is_control]
        return (min(ratios), max(ratios)) if ratios else None

    @cached_property
    def ratios(self) -> dict[str, float]:
        """Time with the set / without by fingerprint, over the weighted variants of each statement that was run."""
        before: dict[str, float] = {}
        after: dict[str, float] = {}
        for outcome in self.outcomes:
            key, weight = outcome.trial.fingerprint, outcome.trial.weight
            before[key] = before.get(key, 0.0) + weight * outcome.before.median_ms
            after[key] = after.get(key, 0.0) + weight * outcome.after.median_ms
        return {key: after[key] / before[key] for key in before if before[key] > 0}


def trials_of(advice: Advice, example: Callable[[Query], Query] = lambda query: query) -> tuple[Trial, ...]:
    """What to measure of advice: the variants of each statement that have values, sharing its calls evenly.

    `example` puts values into a statement that was planned without.
    """
    effects = {effect.fingerprint: effect for effect in advice.effects}
    trials: list[Trial] = []
    for statement in advice.workload.statements:
        effect = effects.get(statement.fingerprint)
        known = [query for query in statement.queries if query.values is not None]
        queries = known or [example(query) for query in statement.queries]
        calls = statement.weight if statement.calls_per_day is None else statement.calls_per_day
        ratio = effect.cost_after / effect.cost_before if effect and effect.cost_before > 0 else None
        trials += [
            Trial(
                statement.fingerprint, query, calls / len(queries), ratio,
                frozenset(effect.indexes) if effect else frozenset(),
            )
            for query in queries
        ]  # fmt: skip
    return tuple(trials)
