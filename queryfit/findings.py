"""What a rule found, as it is ranked, rendered and remembered, and what goes with it into a report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

if TYPE_CHECKING:
    from queryfit.history.advice.outcomes import Calibration, Outcome


class Promise(Struct, frozen=True):
    """The part of a predicted saving that lies in one statement, and how the statement fared when it was made.

    `uncorrected_ms_per_day` is the prediction before any calibration. Where calls are what is saved, `parent` is the
    statement whose calls drive them. Null is what was unknown.
    """

    fingerprint: str
    ms_per_day: float
    low_ms_per_day: float
    uncorrected_ms_per_day: float
    calls_per_day: float | None = None
    mean_ms: float | None = None
    blocks_per_call: float | None = None
    mean_error_ms: float | None = None  # standard error of the mean
    parent: str | None = None
    calls_per_parent_call: float | None = None


class Past(Struct, frozen=True):
    """A finding over time; times are those of captures, naive UTC.

    `since` is when it came into its present state, `is_changed` whether this very run saw that first. `fixed_seconds`
    is how long it was fixed before it came back. `seen` of the `runs` runs since the first that had it saw it.
    """

    first_seen: datetime
    since: datetime
    is_changed: bool
    fixed_seconds: float | None
    seen: int
    runs: int


class Finding(Struct, frozen=True):
    """One fault, ranked. `impact_*` is null where time is not what is at stake.

    In a file, `line` to `end_column` is what of it is at fault: counted from 1, columns in characters, the end column
    is the one behind the last character.
    """

    id: str
    rule: str
    group: str
    title: str
    database: str | None
    subject: str
    severity: str
    proof: str
    message: str
    fix: str | None
    undo: str | None
    impact_ms_per_day: float | None
    impact_low_ms_per_day: float | None
    is_urgent: bool
    file: str | None
    line: int | None
    evidence: Mapping[str, Any]
    state: str = "new"  # new, open (seen before), or back (it was fixed)
    suppressed_by: str | None = None  # reason of the suppression, or `baseline`
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
    is_suppressed_in_source: bool = False  # by a comment in the file
    promises: Sequence[Promise] = ()  # the impact by statement
    past: Past | None = None  # null where nothing is remembered


class NotChecked(Struct, frozen=True):
    """What a rule could not judge, why, and what would mend it. `subject` is null for the whole rule."""

    rule: str
    subject: str | None
    reason: str
    hint: str | None
    file: str | None = None
    line: int | None = None


class Window(Struct, frozen=True):
    """The time that the counters cover. Nulls where it is unknown: no rate is then given."""

    since: datetime | None
    until: datetime | None
    seconds: float | None
    is_extrapolated: bool


class Report(Struct, frozen=True):
    """What a command that returns findings hands to a renderer.

    `findings` are in rank order and are what counts; `suppressed` are the ones that a suppression or a baseline took
    out; `fixed` are findings of runs before that were mended, `gone` those that are not found any more without a sign
    of that. `outcomes` is what came of advice that was followed, latest first. `server` is null for files, `files` and
    `statements` (how many of them were judged) for a server. `sources` has the text of files, by name, so that a line
    can be shown.
    """

    server: Mapping[str, Any] | None
    files: Sequence[str] | None
    window: Window | None
    findings: Sequence[Finding]
    not_checked: Sequence[NotChecked]
    suppressed: Sequence[Finding] = ()
    fixed: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    capture: str | None = None
    cost: Mapping[str, Any] = field(default_factory=dict)
    captured_ms_per_day: float | None = None
    rules_run: int = 0
    statements: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    gone: Sequence[Mapping[str, Any]] = ()
    outcomes: Sequence[Outcome] = ()
    calibration: Calibration | None = None  # null where nothing is remembered


def identity(rule: str, origin: str, database: str | None, subject: str) -> str:
    """Stable name of a finding: 12 hex digits over rule, system identifier or file, database and subject."""
    return hashlib.sha256("\0".join((rule, origin, database or "", subject)).encode()).hexdigest()[:12]
