"""What changed, in one paragraph: the one thing that matters first, in plain words.

What comes first is decided here and nowhere else: an outage that is near, a crash, a limit with a date, then what got
slower, then what the load did, then what there is to fix, then what is good.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from queryfit import words
from queryfit.findings import Finding
from queryfit.history.advice.outcomes import Outcome
from queryfit.render import phrases
from queryfit.render.escape import line, shortened
from queryfit.report.model import (
    Event,
    Findings,
    Headline,
    Period,
    StatementChange,
    Totals,
    Trend,
)

MOST_SUBJECT = 78
NEAR_DAYS = 45.0  # of a limit: so much time a migration of a large table may take
MUCH_SHARE = 0.05  # of the statement time: a change of less is not what a week is remembered for
WORTH_SHARE = 0.01  # of it: a fix that saves less is not worth a sentence
FELT = 0.2  # of the load: less is weather
SAME = 0.05  # less than that is the same
_MOST_SENTENCES = 6
_BROKEN = {"crashed": "crashed", "failed_over": "failed over"}
_BETWEEN = re.compile(r"^(select|delete)\b.*?\bfrom\b", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Story:
    """What a headline is made of."""

    server: str
    period: Period
    totals: Totals
    totals_before: Totals | None
    changes: Sequence[StatementChange]
    findings: Findings
    trends: Sequence[Trend]
    events: Sequence[Event]
    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing that can be said: how much it matters (less is more), a sentence, the same in short, details."""

    weight: float
    kind: str
    sentence: str
    short: str
    detail: str = ""


def headline(story: Story) -> Headline:
    """The paragraph and the subject line."""
    items = sorted(_items(story), key=lambda item: item.weight)
    first = items[0]
    subject = shortened(f"{line(story.server, 24)}: {first.short}", MOST_SUBJECT)
    rest = [f"{item.sentence} {item.detail}".strip() for item in items[1:_MOST_SENTENCES]]
    return Headline(first.kind, first.sentence, [first.detail, *rest] if first.detail else rest, subject)


def _items(story: Story) -> Iterator[_Item]:
    yield from _urgent(story.findings)
    yield from _broken(story.events)
    yield from _limits(story.trends)
    yield from _worse(story)
    yield _load(story)
    yield from _to_fix(story.findings)
    yield from _better(story)
    yield from _happened(story.events)


def statement(text: str, most: int) -> str:
    """A statement in a few words: what it reads or writes and by what, without its list of columns."""
    flat = line(_BETWEEN.sub(lambda found: f"{found[1].lower()} … from", text[: most * 40], count=1), most)
    return flat or "a statement whose text is not known"


def _urgent(findings: Findings) -> Iterator[_Item]:
    urgent = [finding for finding in findings.found if finding.is_urgent]
    if not urgent:
        return
    # what is new leads: what stood in the last report is known
    first = min(urgent, key=lambda finding: finding.state not in {"new", "back"})
    is_new = first.state in {"new", "back"}
    left = phrases.due(first)
    more = f" {phrases.counted(len(urgent) - 1, 'more finding')} cannot wait either." if len(urgent) > 1 else ""
    text = f"{_title(first)}{f', {left}' if left else ''}"
    known = "" if is_new else "Still open: "
    yield _Item(0 if is_new else 2.5, "urgent", f"{text}.", text, f"{known}{_sentence(first.message)}{more}")


def _broken(events: Sequence[Event]) -> Iterator[_Item]:
    broken = [event for event in events if event.kind in _BROKEN]
    if broken:
        event = broken[-1]
        what = _BROKEN[event.kind]
        times = f" {len(broken)} times, the last time" if len(broken) > 1 else ""
        yield _Item(
            1,
            "crash",
            f"The server {what}{times} on {event.happened_at:%a %d %b at %H:%M} UTC.",
            f"the server {what} on {event.happened_at:%a %d %b}",
        )


def _limits(trends: Sequence[Trend]) -> Iterator[_Item]:
    near = [
        trend for trend in trends if trend.days_left is not None and trend.days_left <= NEAR_DAYS and trend.limit_name
    ]
    near.sort(key=lambda trend: trend.days_left or 0)
    for number, trend in enumerate(near[:2]):
        yield _Item(
            1.5 if trend.days_left is not None and trend.days_left <= 14 else 3.5 + number / 10,  # noqa: PLR2004
            "limit",
            f"{reaches(trend)}.",
            reaches(trend, is_short=True),
        )


def reaches(trend: Trend, *, is_short: bool = False) -> str:
    """`public.orders.id reaches int4 in 63 days (55 to 74)`."""
    if trend.kind == "connections":
        what = "Connections reach" if not is_short else "connections reach"
    else:
        what = f"{line(trend.subject, 40 if is_short else 120)} reaches"
    text = f"{what} {line(trend.limit_name or 'the limit', 40)} in {days(trend.days_left)}"
    return text if is_short else text + between(trend)


def between(trend: Trend) -> str:
    """` (55 to 74)` where the range says more than the number; ` (55 or never)`."""
    low, high = trend.days_left_low, trend.days_left_high
    if low is None or trend.days_left is None:
        return ""
    if high is None:
        return f" ({low:,.0f} at the earliest)"
    return f" ({low:,.0f} to {high:,.0f})" if round(low) != round(high) else ""


def days(value: float | None) -> str:
    """`63 days`, `1 day`, `less than a day`."""
    if value is None:
        return "an unknown number of days"
    if value < 1:
        return "less than a day"
    return phrases.counted(round(value), "day")


def _worse(story: Story) -> Iterator[_Item]:
    much = _much(story)
    worse = [
        change
        for change in story.changes
        if change.change in {"slower", "new", "busier"} and change.added_ms_per_day >= much
    ]
    # a statement that got slower is something to mend; a new or busier one is somebody's purpose
    worse.sort(key=lambda change: (change.change != "slower", -change.added_ms_per_day))
    for number, change in enumerate(worse[:2]):
        is_slower = change.change == "slower"
        yield _Item(
            (2 if is_slower else 3) + number / 10,
            change.change,
            f"“{statement(change.text, 70)}” {_effect(change)}{_since(change)}.",
            f"{statement(change.text, 34)} {_effect(change)}{_since(change)}",
            _details(change),
        )


def _much(story: Story) -> float:
    """The time a day from which on a change matters: a share of the load, of that before where that was more."""
    before = story.totals_before.execution_ms_per_day if story.totals_before else None
    return MUCH_SHARE * max(story.totals.execution_ms_per_day or 0, before or 0)


def _effect(change: StatementChange) -> str:
    if change.change == "slower" and change.mean_ms and change.mean_ms_before:
        return f"is {times(change.mean_ms / change.mean_ms_before)} slower"
    if change.change == "faster" and change.mean_ms and change.mean_ms_before:
        return f"is {times(change.mean_ms_before / change.mean_ms)} faster"
    if change.change == "busier" and change.calls_per_day and change.calls_per_day_before:
        return f"runs {times(change.calls_per_day / change.calls_per_day_before)} as often"
    return "is new" if change.change == "new" else f"is {change.change}"


def times(factor: float) -> str:
    """`12×`, `1.4×`."""
    return f"{factor:,.0f}×" if factor >= 9.95 else f"{factor:.1f}×"  # noqa: PLR2004 -- 9.96 would print as 10.0


def _since(change: StatementChange) -> str:
    return f" since {change.changed_at:%a} {change.changed_at.day} {change.changed_at:%b}" if change.changed_at else ""


def _details(change: StatementChange) -> str:
    """What changed, in numbers, and why."""
    parts = []
    if change.mean_ms is not None and change.mean_ms_before is not None and change.change in {"slower", "faster"}:
        parts.append(f"a call took {words.duration(change.mean_ms_before)} and takes {words.duration(change.mean_ms)}")
    if change.change in {"busier", "quieter"} and change.calls_per_day_before and change.calls_per_day is not None:
        before, now = words.number(change.calls_per_day_before), words.number(change.calls_per_day)
        parts.append(f"{before} calls a day became {now}")
    ms = change.added_ms_per_day
    parts.append(f"{words.duration(abs(ms))} {'more' if ms >= 0 else 'less'} a day")
    text = ", ".join(parts)
    why = f" Why: {_sentence(change.reason)}" if change.reason else ""
    return f"{text[:1].upper()}{text[1:]}.{why}"


def _load(story: Story) -> _Item:
    now, before = story.totals.execution_ms_per_day, story.totals_before
    if now is None:
        return _Item(4, "quiet", "The time of statements was not followed.", "the time of statements was not followed")
    if before is None or not before.execution_ms_per_day:
        text = f"Statements took {words.duration(now)} a day"
        return _Item(6.5, "quiet", f"{text}; there is no period before to compare with.", text[0].lower() + text[1:])
    moved = now / before.execution_ms_per_day - 1
    figures = f"{words.duration(before.execution_ms_per_day)} → {words.duration(now)} a day"
    if abs(moved) < FELT:
        said = "The load is as it was" if abs(moved) < SAME else "The load hardly moved"
        text = f"{said}: statements took {words.duration(now)} a day, {signed(moved)}."
        return _Item(6.5, "quiet", text, f"a quiet period, {words.duration(now)} of statement time a day")
    way = "rose" if moved > 0 else "fell"
    text = f"Statement time {way} by {words.percent(abs(moved))} ({figures})."
    return _Item(3.2 if moved > 0 else 5.5, "load", text, f"statement time {way} by {words.percent(abs(moved))}")


def signed(moved: float) -> str:
    """A change as `+12 %`, `−3 %` or `±0 %`."""
    percent = round(moved * 100)
    return "±0 %" if percent == 0 else f"{'+' if percent > 0 else '−'}{abs(percent):,} %"


def _to_fix(findings: Findings) -> Iterator[_Item]:
    if findings.judged_at is None:
        yield _Item(7, "finding", "Nothing was judged: there is no full capture.", "nothing was judged")
        return
    timed = [finding for finding in findings.found if (finding.impact_ms_per_day or 0) > 0 and not finding.is_urgent]
    best = max(timed, key=lambda finding: finding.impact_low_ms_per_day or 0, default=None)
    worth = WORTH_SHARE * (findings.captured_ms_per_day or 0)
    if best is not None and (best.impact_ms_per_day or 0) >= worth:
        is_new = best.state in {"new", "back"}
        saving = phrases.saving(best)
        yield _Item(
            4 if is_new else 4.5,
            "finding",
            f"Most is to be saved on {_about(best)}: {saving} a day ({_title(best)[0].lower()}{_title(best)[1:]}).",
            f"{saving} a day to save: {phrases.subject(best, 40)}",
        )
    counts = [
        f"{len(some)} {name}"
        for name, some in (
            ("new", findings.of_state("new")),
            ("back", findings.of_state("back")),
            ("open", findings.of_state("open")),
            ("fixed", findings.fixed),
        )
        if some or name in {"new", "fixed"}
    ]
    if findings.compared_at is None:
        counts = [phrases.counted(len(findings.found), "finding")] if findings.found else ["no findings"]
        yield _Item(7.5, "finding", f"{counts[0].capitalize()}.", counts[0])
    else:
        yield _Item(7.5, "finding", f"Findings: {', '.join(counts)}.", f"findings: {', '.join(counts)}")


def _better(story: Story) -> Iterator[_Item]:
    much = _much(story)
    got = [
        outcome
        for outcome in story.outcomes
        if (outcome.got_ms_per_day or 0) >= much and outcome.fixed_at >= story.period.since
    ]
    for outcome in sorted(got, key=lambda outcome: -(outcome.got_ms_per_day or 0))[:1]:
        predicted = (
            f" (predicted: {words.duration(outcome.predicted_ms_per_day)})" if outcome.predicted_ms_per_day else ""
        )
        saves = f"saves {words.duration(outcome.got_ms_per_day or 0)} a day"
        subject = line(outcome.subject, 100)
        yield _Item(4.8, "faster", f"The fix of {subject} {saves}{predicted}.", f"the fix of {subject[:40]} {saves}")
    better = [change for change in story.changes if change.change == "faster" and -change.added_ms_per_day >= much]
    for change in sorted(better, key=lambda change: change.added_ms_per_day)[:1]:
        short = f"{statement(change.text, 34)} {_effect(change)}"
        text = f"“{statement(change.text, 70)}” {_effect(change)}{_since(change)}."
        yield _Item(5, "faster", text, short, _details(change))


def _happened(events: Sequence[Event]) -> Iterator[_Item]:
    named = {"restarted": "was restarted", "upgraded": "was upgraded"}
    found = [f"{named[e.kind]} on {e.happened_at:%a %d %b at %H:%M} UTC" for e in events if e.kind in named]
    if found:
        yield _Item(6, "event", f"The server {' and '.join(found[:2])}.", f"the server {found[0]}")
    resets = [event for event in events if event.kind in {"statements_reset", "counters_reset"}]
    if resets:
        on = " and ".join(dict.fromkeys(f"{event.happened_at:%a %d %b}" for event in resets[:3]))
        yield _Item(8, "event", f"Counters were reset on {on}; nothing before counts twice.", f"counters reset on {on}")


def _about(finding: Finding) -> str:
    """What a finding is about; a statement in quotation marks."""
    subject = phrases.subject(finding, 400)
    return f"“{statement(subject, 70)}”" if finding.subject.startswith("fingerprint:") else shortened(subject, 90)


def _title(finding: Finding) -> str:
    return line(finding.title, 100)


def _sentence(text: str) -> str:
    flat = line(text, 260)
    return flat if flat.endswith((".", "…", "!", "?")) else f"{flat}."
