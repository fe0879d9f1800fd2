"""Words for findings over time and for what came of advice, as every renderer for people uses them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from queryfit import words
from queryfit.findings import Finding, Report
from queryfit.render.escape import line

if TYPE_CHECKING:
    from datetime import datetime

    from queryfit.history.advice.outcomes import Calibration, Outcome

_DAY_MS = 86_400_000
_MUCH = 1.25  # times as many calls: from here on a promise reads otherwise
_NARROW = 0.05  # of what came: an interval within says nothing more


def changes(report: Report) -> str | None:
    """What changed since the run before; None where there was none."""
    states = Counter(entry.state for entry in report.findings)
    returned = sum(entry.state == "back" and is_changed(entry) for entry in report.findings)
    open_ = states["open"] + states["back"] - returned
    if not open_ and not returned and not report.fixed and not report.gone:
        return None
    parts = [f"{states['new']} new", f"{open_} open", f"{len(report.fixed)} fixed"]
    parts += [f"{returned} back"] if returned else []
    parts += [f"{len(report.gone)} gone"] if report.gone else []
    return ", ".join(parts)


def is_changed(finding: Finding) -> bool:
    """Whether this run was the first to see the finding in its state."""
    return finding.past is None or finding.past.is_changed


def past(finding: Finding) -> str | None:
    """A finding over time: `seen in 10 of 30 runs since 2026-10-04`; None for a new one."""
    if finding.past is None or finding.state == "new":
        return None
    often = f"seen in {finding.past.seen:,} of {finding.past.runs:,} runs since {_day(finding.past.first_seen)}"
    return f"{back(finding)}; {often}" if finding.state == "back" else often


def back(finding: Finding) -> str:
    """`back since 2026-11-03, was fixed for 12 days`."""
    if finding.past is None:
        return "back"
    text = f"back since {_day(finding.past.since)}"
    return f"{text}, {length}" if (length := was_fixed(finding)) else text


def was_fixed(finding: Finding) -> str | None:
    """`was fixed for 12 days`."""
    seconds = finding.past.fixed_seconds if finding.past else None
    return f"was fixed for {words.duration(seconds * 1000)}" if seconds is not None else None


def correction(finding: Finding) -> str | None:
    """`corrected by 0.8 from 6 outcomes`; None where nothing was corrected."""
    factor, count = finding.evidence.get("correction_factor"), finding.evidence.get("correction_outcomes")
    if not isinstance(factor, int | float) or not isinstance(count, int):
        return None
    return f"corrected by {factor:.2g} from {_counted(count, 'outcome')}"


def fixed(entry: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    """A finding that was mended, with what came of its promise as far as that is known."""
    text = f"{line(entry.get('title') or entry['rule'], 120)}: {line(entry['subject'], 160)}"
    latest = next((outcome for outcome in outcomes if outcome.finding == entry["id"]), None)
    return f"{text} ({kept(latest)})" if latest is not None else text


def gone(entry: Mapping[str, Any]) -> str:
    """A finding that is not found any more, and why nobody calls it fixed."""
    text = f"{line(entry.get('title') or entry['rule'], 120)}: {line(entry['subject'], 160)}"
    return f"{text} ({line(entry['why'], 120)})" if entry.get("why") else text


def kept(outcome: Outcome) -> str:
    """What was promised and what came: `predicted 3.2 h/day, got 2.9 h/day`."""
    promised = outcome.predicted_ms_per_day
    said = f"predicted {words.duration(promised)}/day" if promised is not None else "nothing was predicted"
    if outcome.got_ms_per_day is None:
        return f"{said}; {line(outcome.note or 'not measured yet', 160)}"
    got = outcome.got_ms_per_day
    if got < 0:
        return f"{said}, {words.duration(-got)}/day slower since{_load(outcome)}"
    least = "at least " if outcome.is_at_least else ""
    return f"{said}, got {least}{words.duration(got)}/day{_interval(outcome, got)}{_load(outcome)}"


def _interval(outcome: Outcome, got: float) -> str:
    low, high = outcome.got_low_ms_per_day, outcome.got_high_ms_per_day
    if outcome.is_at_least or low is None or high is None or high - low <= 2 * _NARROW * got:
        return ""
    return f" ({words.duration(low)} to {words.duration(high)})"


def _load(outcome: Outcome) -> str:
    """What the promise comes to for the calls that really came, where these are far more or fewer."""
    expected, promised = outcome.expected_ms_per_day, outcome.uncorrected_ms_per_day
    if not expected or not promised or min(expected, promised) <= 0:
        return ""
    growth = expected / promised
    return f" with {growth:.2g} times the calls" if not 1 / _MUCH <= growth <= _MUCH else ""


def seen(outcome: Outcome) -> str | None:
    """The statement that changed most: `180 ms to 2.1 ms a call, 12,000 to 41 blocks, 41 k calls in 3.1 days`."""
    if not outcome.statements:
        return None
    most = max(outcome.statements, key=lambda entry: abs(entry.got_ms_per_day))
    after = words.duration(most.mean_after_ms) if most.mean_after_ms is not None else "no calls"
    parts = [f"{words.duration(most.mean_before_ms)} to {after} a call"]
    if most.blocks_per_call_before is not None and most.blocks_per_call_after is not None:
        before, now = words.number(most.blocks_per_call_before), words.number(most.blocks_per_call_after)
        parts.append(f"{before} to {now} blocks a call")
    parts.append(f"{words.number(most.calls_after)} calls in {words.duration(outcome.seconds * 1000)}")
    others = len(outcome.statements) - 1
    text = ", ".join(parts)
    return f"{text}; {_counted(others, 'more statement')}" if others else text


def calibration(report: Report) -> str | None:
    """How right advice was so far; None where none was followed."""
    if not report.outcomes:
        return None
    return calibrated(report.calibration, len(report.outcomes))


def calibrated(known: Calibration | None, fixes: int) -> str:
    """How right advice was so far, over that many fixes."""
    if known is None or not known.measured:
        return (
            f"nothing could be measured yet after {_counted(fixes, 'fix', 'fixes')}, so predictions are not corrected"
        )
    text = (
        f"measured after {known.measured:,} of {_counted(fixes, 'fix', 'fixes')}:"
        f" {words.duration(known.predicted_ms_per_day)}/day was predicted for the calls that came,"
        f" {words.duration(known.got_ms_per_day)}/day came"
    )
    factors = {f"{factor:.2g}" for factor in (known.factor, *known.factors.values())}
    if factors == {"1"}:
        return f"{text}; predictions stand as they are"
    by_proof = ", ".join(f"{factor:.2g} where {proof}" for proof, factor in sorted(known.factors.items()))
    return f"{text}; predictions are corrected by {known.factor:.2g}" + (f" ({by_proof})" if by_proof else "")


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _counted(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
