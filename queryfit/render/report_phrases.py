"""A report in the words that all of its forms use: page, Markdown and mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from queryfit import words
from queryfit.findings import Finding
from queryfit.history.advice.outcomes import Outcome
from queryfit.render import phrases
from queryfit.render.escape import line
from queryfit.render.phrases import counted
from queryfit.report.headline import MOST_SUBJECT, between, days, signed, statement, times
from queryfit.report.model import Content, Event, Period, StatementChange, Trend

__all__ = ["MOST_SUBJECT", "days", "signed", "statement", "times"]

MOST_NAME = 120
_DAY_S = 86_400
_STATES = {"new": "New", "back": "Back", "open": "Still open"}
_EVENTS = {
    "statements_reset": "statement counters reset",
    "counters_reset": "counters reset",
    "evicted": "statements evicted",
    "restarted": "server restarted",
    "crashed": "server crashed",
    "failed_over": "failed over",
    "upgraded": "server upgraded",
    "gap": "no captures",
    "setting_changed": "setting changed",
    "index_added": "index added",
    "index_dropped": "index dropped",
    "relation_added": "table added",
    "relation_dropped": "table dropped",
    "column_changed": "column changed",
}


_WITH_VALUES = {"setting_changed", "upgraded", "column_changed", "failed_over"}


@dataclass(frozen=True, slots=True)
class Card:
    """A number on top: what it is, how much, and how it moved. `tone` is good, bad or nothing."""

    name: str
    value: str
    note: str
    tone: str = ""


def place(content: Content) -> str:
    """Whom the report is about: `shop · PostgreSQL 18.6`."""
    names = ", ".join(content.server.databases[:3]) or content.server.system_identifier
    if len(content.server.databases) > 3:  # noqa: PLR2004
        names += f" and {len(content.server.databases) - 3} more"
    number = content.server.version.partition(" ")[0]
    kinds = [content.server.provider] if content.server.provider not in {"", "self-hosted"} else []
    kinds += ["standby"] if content.server.is_standby else []
    return line(f"{names} · PostgreSQL {number}" + (f" ({', '.join(kinds)})" if kinds else ""), 160)


def stretch(period: Period) -> str:
    """`16 – 23 Nov 2026`, with hours where they matter."""
    since, until = period.since, period.until
    if period.seconds < 2.5 * _DAY_S:
        return f"{since:%a %d %b %Y %H:%M} – {until:%a %d %b %H:%M} UTC"
    begins = f"{since.day} {since:%b}" if since.month != until.month else f"{since.day}"
    year = f" {since.year}" if since.year != until.year else ""
    return f"{begins}{year} – {until.day} {until:%b %Y}"


def length(seconds: float) -> str:
    """`7 days`, `36 h`."""
    return (
        words.duration(round(seconds / 3600) * 3_600_000) if seconds >= 2 * _DAY_S else words.duration(seconds * 1000)
    )


def cards(content: Content) -> list[Card]:
    """The four numbers on top."""
    now, before = content.totals, content.totals_before
    found = [Card("statement time", "unknown", "not followed")]
    if now.execution_ms_per_day is not None:
        note, tone = _moved(now.execution_ms_per_day, before.execution_ms_per_day if before else None, is_cost=True)
        found = [Card("statement time a day", words.duration(now.execution_ms_per_day), note, tone)]
    if now.calls_per_day is not None:
        note, _ = _moved(now.calls_per_day, before.calls_per_day if before else None, is_cost=False)
        found.append(Card("calls a day", words.number(now.calls_per_day), note))
    found.append(_findings_card(content))
    near = next((trend for trend in content.trends if trend.days_left is not None and trend.limit_name), None)
    if near is not None:
        what = "connections" if near.kind == "connections" else near.subject
        found.append(Card("nearest limit", days(near.days_left), line(what, 60)))
    elif content.sessions.most is not None:
        of = f"of {content.sessions.limit:,}" if content.sessions.limit else ""
        found.append(Card("most connections", f"{content.sessions.most:,}", of))
    return found


def _findings_card(content: Content) -> Card:
    findings = content.findings
    if findings.judged_at is None:
        return Card("findings", "–", "nothing was judged")
    counts = [
        f"{len(some)} {name}"
        for name, some in (
            ("new", findings.of_state("new")), ("back", findings.of_state("back")), ("fixed", findings.fixed)
        )
        if some and (findings.compared_at or name != "new")
    ]  # fmt: skip
    return Card("findings", f"{len(findings.found)}", ", ".join(counts) or "none new, none fixed")


def _moved(now: float, before: float | None, *, is_cost: bool) -> tuple[str, str]:
    if not before:
        return "no period before", ""
    moved = now / before - 1
    tone = ("bad" if moved > 0 else "good") if is_cost and abs(moved) >= 0.1 else ""  # noqa: PLR2004
    return f"{signed(moved)} against the period before", tone


def totals(content: Content) -> str:
    """How many findings there are, by state."""
    findings = content.findings
    if findings.judged_at is None:
        return "There is no full capture in the store, so nothing was judged."
    if not findings.found:
        return f"No findings: {phrases.counted(findings.rules_run, 'rule')} ran."
    together = sum(finding.impact_ms_per_day or 0 for finding in findings.found)
    saved = f" Together they save up to {words.duration(together)} a day." if together > 0 else ""
    if findings.compared_at is None:
        return f"{phrases.counted(len(findings.found), 'finding')}.{saved}"
    states = [
        f"{len(of)} {name}"
        for name, of in (
            ("new", findings.of_state("new")),
            ("back", findings.of_state("back")),
            ("still open", findings.of_state("open")),
            ("fixed", findings.fixed),
        )
        if of
    ]
    return f"{', '.join(states)}.{saved}"


def state(finding: Finding) -> str:
    """`New`, `Back`, `Still open`."""
    return _STATES.get(finding.state, finding.state.capitalize())


def since(finding: Finding) -> str | None:
    """How long a finding has been known: `open since 3 Nov, seen in 12 of 14 audits`."""
    past = finding.past
    if past is None or finding.state == "new":
        return None
    return f"{finding.state} since {day(past.since)}, seen in {past.seen} of {counted(past.runs, 'audit')}"


def effect(change: StatementChange) -> str:
    """`9.4× slower`, `new`, `runs 3× as often`."""
    if change.mean_ms and change.mean_ms_before and change.change in {"slower", "faster"}:
        factor = change.mean_ms / change.mean_ms_before
        return f"{times(factor if change.change == 'slower' else 1 / factor)} {change.change}"
    if change.calls_per_day and change.calls_per_day_before and change.change in {"busier", "quieter"}:
        factor = change.calls_per_day / change.calls_per_day_before
        return f"{change.change}, {times(factor)} the calls"
    return change.change


def per_day(value: float | None) -> str:
    """Statement time a day: `42 min`."""
    return "" if value is None else words.duration(value)


def added(change: StatementChange) -> str:
    """`+42 min`: statement time a day that came or went."""
    ms = change.added_ms_per_day
    return f"{'+' if ms >= 0 else '−'}{words.duration(abs(ms))}"


def moment(at: datetime | None) -> str:
    """`Thu 19 Nov 14:00`."""
    return f"{at:%a} {at.day} {at:%b %H:%M}" if at else ""


def day(at: datetime | None) -> str:
    """`19 Nov`."""
    return f"{at.day} {at:%b}" if at else ""


def event(entry: Event) -> str:
    """What happened, in words: `setting changed: work_mem, 4MB → 64MB`."""
    name = _EVENTS.get(entry.kind, entry.kind.replace("_", " "))
    parts = [line(text, MOST_NAME) for text in (entry.subject,) if text]
    if entry.kind in _WITH_VALUES and (entry.value_before is not None or entry.value_now is not None):
        before, now = (line(text, 80) if text else "nothing" for text in (entry.value_before, entry.value_now))
        parts.append(f"{before} → {now}")
    if entry.detail:
        detail = line(entry.detail, 300)
        parts.append(f"on {detail}" if entry.kind in {"index_added", "index_dropped"} else detail)
    text = f"{name}: {', '.join(parts)}" if parts else name
    return f"{text} ({entry.times} times that day)" if entry.times > 1 else text


def trend_date(trend: Trend) -> str:
    """`in 63 days (55 to 74)`, or that it has no limit or does not get there."""
    if trend.limit_name is None:
        return "no limit"
    if trend.days_left is not None:
        return f"in {days(trend.days_left)}{between(trend)}"
    low = trend.days_left_low
    return "not in sight" if low is None else f"not in sight; in {low:,.0f} days at the earliest"


def amount(value: float, unit: str) -> str:
    """A value of a trend in its unit."""
    return words.size(value) if unit == "bytes" else words.number(value)


def got(outcome: Outcome) -> str:
    """What came of a promise: `2.9 h (2.7 to 3.1)`, or why nothing can be said."""
    if outcome.got_ms_per_day is None:
        return {"early": "too early", "unmeasurable": "not measurable"}.get(outcome.status, outcome.status)
    least = "at least " if outcome.is_at_least else ""
    text = f"{least}{words.duration(outcome.got_ms_per_day)}"
    low, high = outcome.got_low_ms_per_day, outcome.got_high_ms_per_day
    return f"{text} ({words.duration(low)} to {words.duration(high)})" if low is not None and high is not None else text


def calibration(content: Content) -> str | None:
    """How right advice was, over all that could be measured."""
    found = content.calibration
    if found is None or not found.measured:
        return None
    predicted, came = words.duration(found.predicted_ms_per_day), words.duration(found.got_ms_per_day)
    fixes = counted(found.measured, "measured fix", "measured fixes")
    text = f"Over {fixes}, {predicted} a day was predicted and {came} came."
    return f"{text} New predictions are multiplied by {found.factor:.2f}."


def unused(content: Content) -> str:
    """How many indexes nobody scanned."""
    entry = content.indexes
    if not entry.unused_total:
        return f"Each of the {counted(entry.total, 'index', 'indexes')} was used, or backs a constraint."
    many = counted(entry.unused_total, "index", "indexes")
    verb = "was" if entry.unused_total == 1 else "were"
    sizes = f", {words.size(entry.unused_bytes)} together" if entry.unused_bytes else ""
    return (
        f"{many} of {entry.total:,} {verb} not scanned in this period and back no constraint{sizes}. A finding says so"
        " where one may go: a period is not a year, and a standby may use it."
    )


def _left_out(unusable: Mapping[str, str]) -> Iterator[str]:
    """The captures that could not be read, the first few by name."""
    for name, reason in list(unusable.items())[:5]:
        yield f"Capture {line(name, 60)} was left out: {line(reason, 200)}."
    if len(unusable) > 5:  # noqa: PLR2004
        yield f"{len(unusable) - 5} more captures were left out."


def method(content: Content) -> Iterator[str]:
    """How the numbers were made."""
    period, how = content.period, content.method
    covered = min(period.covered_s / period.seconds, 1) if period.seconds else 0
    yield (
        f"All times are UTC. The period runs from {period.since:%Y-%m-%d %H:%M} to {period.until:%Y-%m-%d %H:%M}:"
        f" {counted(period.captures, 'capture')}, {words.percent(covered)} of the time followed."
    )
    grains = {"capture": "between captures", "hour": "by the hour", "day": "by the day"}
    yield (
        f"Numbers are differences of the server's counters, kept {' and '.join(grains[g] for g in how.grains)};"
        " a rate is by the time that was followed, and a day is 24 h."
    )
    if content.before is None:
        yield "There is no period before to compare with."
    else:
        before = content.before
        yield (
            f"It is compared with {before.since:%Y-%m-%d %H:%M} to {before.until:%Y-%m-%d %H:%M}:"
            f" {counted(before.captures, 'capture')}."
        )
        if before.covered_s < period.covered_s * 0.8:
            yield f"Of the period before, only {length(before.covered_s)} were followed."
    if len(content.server.databases) > 1 and content.sessions.most is not None:
        yield "Connections at once are the sum of what was the most in each database: at most so many."
    for begin, end in how.gaps[:5]:
        yield f"No capture between {moment(begin)} and {moment(end)}: what happened there is spread evenly."
    if len(how.gaps) > 5:  # noqa: PLR2004
        yield f"{len(how.gaps) - 5} more gaps."
    if how.lower_bound_statements:
        many = counted(how.lower_bound_statements, "statement")
        yield f"{many} did at least what is shown (≥): counters were reset or entries evicted in between."
    yield from _left_out(how.unusable)
    if content.findings.judged_at is not None:
        against = content.findings.compared_at
        compared = f", compared with {against:%Y-%m-%d %H:%M}" if against else ""
        rules = counted(content.findings.rules_run, "rule")
        yield f"Findings are of the full capture of {content.findings.judged_at:%Y-%m-%d %H:%M}{compared}: {rules} ran."
    if content.findings.suppressed:
        yield f"{counted(content.findings.suppressed, 'finding')} left out by a suppression or the baseline."
    yield from (line(note, 300) for note in how.notes)


def gaps(content: Content) -> Sequence[phrases.Gap]:
    """What was not checked, by reason."""
    return phrases.gaps(content.not_checked)
