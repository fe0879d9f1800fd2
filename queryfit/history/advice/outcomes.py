"""What advice promised and what came of it, and how far later promises are to be believed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from queryfit.findings import Promise

PRIOR_OUTCOMES = 3.0  # promises count as kept until so many outcomes say otherwise: one alone may be luck
LEAST_FACTOR, MOST_FACTOR = 0.2, 2.0  # beyond, something else than the advice was at work
LEAST_RATIO, MOST_RATIO = 0.1, 4.0  # of one outcome: what made things slower, or a wonder, must not decide alone
LEAST_OF_A_PROOF = 3  # outcomes from which a kind of proof has a factor of its own
_CONFIDENCE = 1.96  # standard errors on either side: 95 %


@dataclass(frozen=True, slots=True)
class Patience:
    """How much has to be seen before a saving is told."""

    least: timedelta = timedelta(hours=1)  # caches are warm again, and a minute's load is not the day's
    least_calls: int = 20  # of the statements together: a mean of fewer is chance
    enough: timedelta = timedelta(days=7)  # a week has all that weeks have; the outcome is then kept
    most: timedelta = timedelta(days=30)  # what was not called often enough by then is not measured


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class StatementOutcome:
    """One statement before and after a fix.

    `share` is the part of its saving that counts for this finding: where several fixes of the same time promised to
    serve it, they share what came by what they promised.
    """

    fingerprint: str
    calls_before: int | None
    calls_after: int
    calls_per_day: float  # after
    mean_before_ms: float
    mean_after_ms: float | None  # null where it is not called any more, because calls were what was saved
    blocks_per_call_before: float | None
    blocks_per_call_after: float | None
    expected_ms_per_day: float  # the uncorrected promise, for the calls that came
    got_ms_per_day: float
    error_ms_per_day: float | None  # half the width of the 95 % interval; null where deviations are unknown
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one followed piece of advice. Times are naive UTC.

    `status` is `early` (not enough was seen yet, `note` says how much), `measured` (goes on being measured), `final`,
    or `unmeasurable` (`note` says why). `got_ms_per_day` is null where nothing could be measured; with `is_at_least`
    the time after the fix holds some of the time before it, so that more came than that.
    """

    finding: str
    rule: str
    title: str
    database: str | None
    subject: str
    proof: str
    fixed_at: datetime  # first capture with the fix
    status: str
    predicted_ms_per_day: float | None  # as it was said, corrected by what was known then
    predicted_low_ms_per_day: float | None
    uncorrected_ms_per_day: float | None = None  # the same before any correction, of statements only
    got_ms_per_day: float | None = None
    got_low_ms_per_day: float | None = None
    got_high_ms_per_day: float | None = None
    expected_ms_per_day: float | None = None  # the uncorrected promise, for the calls that came
    is_at_least: bool = False
    measured_until: datetime | None = None
    seconds: float = 0.0  # that were watched after the fix
    calls: int = 0  # of the statements in that time
    statements: tuple[StatementOutcome, ...] = ()
    note: str | None = None

    @property
    def is_measured(self) -> bool:
        """Whether it says how right the advice was."""
        return self.status in ("measured", "final") and not self.is_at_least and bool(self.expected_ms_per_day)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How right promises were. `factor` is what they are multiplied by: 1 without outcomes.

    `predicted_ms_per_day` is what the uncorrected promises add up to for the calls that came, `got_ms_per_day` what
    came; both over the `measured` outcomes. `factors` has the kinds of proof that have enough outcomes of their own.
    """

    factor: float = 1.0
    measured: int = 0
    predicted_ms_per_day: float = 0.0
    got_ms_per_day: float = 0.0
    factors: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)  # outcomes behind each of `factors`

    def of(self, proof: str) -> float:
        """What a prediction with that kind of proof is multiplied by; what was measured is not corrected."""
        return 1.0 if proof == "measured" else self.factors.get(proof, self.factor)

    def outcomes_of(self, proof: str) -> int:
        """How many outcomes say so."""
        return self.counts.get(proof, self.measured)


def calibrate(outcomes: Iterable[Outcome]) -> Calibration:
    """How far predictions are to be believed, from all outcomes that could be measured."""
    measured = [outcome for outcome in outcomes if outcome.is_measured and (outcome.expected_ms_per_day or 0) > 0]
    by_proof: dict[str, list[Outcome]] = {}
    for outcome in measured:
        by_proof.setdefault(outcome.proof, []).append(outcome)
    enough = {proof: group for proof, group in by_proof.items() if len(group) >= LEAST_OF_A_PROOF}
    return Calibration(
        factor=_factor(measured),
        measured=len(measured),
        predicted_ms_per_day=sum(outcome.expected_ms_per_day or 0 for outcome in measured),
        got_ms_per_day=sum(outcome.got_ms_per_day or 0 for outcome in measured),
        factors={proof: _factor(group) for proof, group in enough.items()},
        counts={proof: len(group) for proof, group in enough.items()},
    )


def _factor(outcomes: Sequence[Outcome]) -> float:
    """The weighted geometric mean of got over predicted, drawn towards 1.

    A large promise weighs more than a small one, by its square root: one alone does not decide.
    """
    if not outcomes:
        return 1.0
    roots = [math.sqrt(outcome.expected_ms_per_day or 0) for outcome in outcomes]
    usual = sum(roots) / len(roots)
    total = sum(root / usual * math.log(_ratio(outcome)) for root, outcome in zip(roots, outcomes, strict=True))
    factor = math.exp(total / (len(outcomes) + PRIOR_OUTCOMES))
    return min(max(factor, LEAST_FACTOR), MOST_FACTOR)


def _ratio(outcome: Outcome) -> float:
    ratio = (outcome.got_ms_per_day or 0) / (outcome.expected_ms_per_day or math.inf)
    return min(max(ratio, LEAST_RATIO), MOST_RATIO)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a statement did in a window. Sums; null where the server does not say."""

    calls: int
    execution_ms: float
    seconds: float
    squared_ms: float | None = None  # sum of the squared times of its calls
    planning_ms: float | None = None
    blocks: int | None = None  # shared blocks, hit or read

    @property
    def mean_ms(self) -> float:
        """Time of a call, with its planning where the server counts that. Needs calls."""
        return (self.execution_ms + (self.planning_ms or 0)) / self.calls

    @property
    def blocks_per_call(self) -> float | None:
        return self.blocks / self.calls if self.blocks is not None and self.calls else None

    @property
    def squared_error_ms(self) -> float | None:
        """The squared standard error of the mean."""
        if self.squared_ms is None or not self.calls:
            return None
        mean = self.execution_ms / self.calls
        return max(self.squared_ms / self.calls - mean * mean, 0) / self.calls


@dataclass(frozen=True, slots=True)
class Level:
    """How a statement fared before a fix; null is what is unknown."""

    mean_ms: float
    calls: int | None = None
    squared_error_ms: float | None = None
    blocks_per_call: float | None = None
    calls_per_parent_call: float | None = None


def statement_outcome(
    promise: Promise, before: Level, after: Counts, *, parent_after: Counts | None = None, share: float = 1.0
) -> StatementOutcome:
    """The saving that came in one statement a day: the calls after, each faster by the difference of means.

    Where calls are what is saved: the calls that its parent's calls would have brought and that did not come, each of
    the mean time before. `after` needs seconds.
    """
    mean_after = after.mean_ms if after.calls else None
    per_day = 86_400 / after.seconds
    calls_per_day = usual = after.calls * per_day
    error: float | None = None
    if parent_after is not None and before.calls_per_parent_call is not None:
        usual = parent_after.calls * per_day * before.calls_per_parent_call
        got = (usual - calls_per_day) * before.mean_ms
    else:
        got = calls_per_day * (before.mean_ms - (mean_after or 0.0))
        if before.squared_error_ms is not None and after.squared_error_ms is not None:
            squared = before.squared_error_ms + after.squared_error_ms
            error = share * calls_per_day * _CONFIDENCE * math.sqrt(squared)
    growth = usual / promise.calls_per_day if promise.calls_per_day else 1.0
    return StatementOutcome(
        fingerprint=promise.fingerprint,
        calls_before=before.calls,
        calls_after=after.calls,
        calls_per_day=calls_per_day,
        mean_before_ms=before.mean_ms,
        mean_after_ms=mean_after,
        blocks_per_call_before=before.blocks_per_call,
        blocks_per_call_after=after.blocks_per_call,
        expected_ms_per_day=promise.uncorrected_ms_per_day * growth,
        got_ms_per_day=got * share,
        error_ms_per_day=error,
        share=share,
    )


def total_error(statements: Sequence[StatementOutcome]) -> float | None:
    """Half the width of the 95 % interval of the sum: statements wobble each for itself."""
    errors = [entry.error_ms_per_day for entry in statements]
    known = [error for error in errors if error is not None]
    return math.sqrt(sum(error * error for error in known)) if len(known) == len(errors) else None
