"""Advice in the words that every renderer for people uses."""

from __future__ import annotations

from collections import Counter

from queryfit import words
from queryfit.advise import summary
from queryfit.advise.measure.measured import Measured, Outcome
from queryfit.advise.model import Advice, Chosen, Point
from queryfit.render.escape import line
from queryfit.render.phrases import counted

PLANNERS = {"lab": "in the lab", "hypopg": "by HypoPG on the server"}
MOST_TEXT = 120
_NEAR = 0.0005  # nearer to the best than that is the best: the solver's own tolerance


def headline(advice: Advice) -> str:
    """What the set is and what it saves: `5 indexes, 412 MB: −49 % of the statement time (3.9 h a day)`."""
    if not advice.workload.statements:
        return "Nothing is advised: no statement could be checked."
    if not advice.chosen and not advice.removals:
        return "No index is worth what it costs: none of the candidates saves more than its upkeep."
    saved = summary.saving(advice)
    if not advice.chosen and abs(summary.share(saved, advice)) < _NEAR:
        return indexes(advice)  # room is what they give back
    what = "statement time" if summary.is_timed(advice) else "workload's planner cost"
    text = f"{indexes(advice)}: {signed_percent(-summary.share(saved, advice))} of the {what}"
    return f"{text} ({words.duration(saved)}{summary.per_what(advice)})" if summary.is_timed(advice) else text


def indexes(advice: Advice) -> str:
    """`5 indexes, 412 MB, and 2 to drop`."""
    drops = counted(len(advice.removals), "index", "indexes")
    if not advice.chosen:
        return f"{drops} to drop, {words.size(freed_bytes(advice))}"
    text = f"{counted(len(advice.chosen), 'index', 'indexes')}, {words.size(advice.size_bytes)}"
    return f"{text}, and {len(advice.removals)} to drop" if advice.removals else text


def freed_bytes(advice: Advice) -> int:
    """What the removals give back."""
    return sum(entry.existing.size_bytes for entry in advice.removals)


def certainty(advice: Advice) -> str:
    """How far from the best possible, and whether the search came to its end."""
    gap = summary.distance(advice.cost_after, advice.bound)
    if advice.is_complete:
        text = "the best possible" if gap < _NEAR else f"within {words.percent(gap)} of the best possible"
    else:
        text = f"stopped at a limit, so the best so far: at most {words.percent(gap)} above the best possible"
    within = f" and {words.size(advice.budget_bytes)}" if advice.budget_bytes is not None else ""
    return f"{text} for these candidates{within}"


def effort(advice: Advice) -> str:
    """Who planned, how often and for how long."""
    by = PLANNERS.get(advice.planner, advice.planner)
    return f"planned {by}: {counted(advice.planner_calls, 'plan')} in {words.duration(advice.seconds * 1000)}"


def proof(advice: Advice) -> str:
    """What the numbers rest on."""
    if summary.is_timed(advice):
        return "Times saved are planned: what the server counted, by the planner's costs without and with the set."
    return "Savings are planned: the planner's costs without and with the set, by the weights of the statements."


def load(advice: Advice) -> str:
    """How large the workload is: `9 statements, 7.9 h of statement time a day`."""
    text = counted(len(advice.workload.statements), "statement")
    return (
        f"{text}, {words.duration(advice.cost_before)}{summary.per_what(advice)}" if summary.is_timed(advice) else text
    )


def amount(value: float, advice: Advice) -> str:
    """A part of the workload in a table: `88 min`, or `12 %` where there is no time."""
    if summary.is_timed(advice):
        return words.duration(value)
    return summary.percent(summary.share(value, advice))


def per_day(name: str, advice: Advice) -> str:
    """The heading of amounts: `saves/day`, or `saves` where they are shares."""
    return f"{name}/day" if summary.is_daily(advice) else name


def signed_percent(value: float) -> str:
    """`−38 %`, `+4.1 %`, with a true minus."""
    return f"{'−' if value < 0 else '+'}{summary.percent(abs(value))}"


def factor(ratio: float, less: str = "cheaper", more: str = "dearer") -> str:
    """How a cost changed: `680× cheaper`, `−32 %`, `+3.8 %`, `2.4× dearer`."""
    if ratio <= 0:
        return "nothing left"
    if ratio <= 0.5:  # noqa: PLR2004 -- half: from there on a factor says more than a percentage
        return f"{words.number(1 / ratio)}× {less}"
    if ratio >= 2:  # noqa: PLR2004
        return f"{words.number(ratio)}× {more}"
    return signed_percent(ratio - 1)


def time_factor(ratio: float) -> str:
    """How a time changed: `31× faster`, `+5 %`."""
    return factor(ratio, "faster", "slower")


def size(chosen: Chosen) -> str:
    """The size of an index; empty where nobody knows it."""
    return words.size(chosen.candidate.size.size_bytes) if chosen.candidate.size is not None else ""


def duration(ms: float | None) -> str:
    """A length of time that may be unknown."""
    return words.duration(ms) if ms is not None else ""


def budget(point: Point) -> str:
    """The budget of a point of the curve."""
    return "none" if point.budget_bytes is None else words.size(point.budget_bytes)


def text(change: summary.Change, most: int = MOST_TEXT) -> str:
    """The statement on one line."""
    return line(change.text, most)


def run(change: summary.Change, advice: Advice) -> str:
    """What a measurement says of a statement; a dash where it was not run."""
    ratio = advice.measured.get(change.fingerprint)
    return time_factor(ratio) if ratio is not None else "-"


def cheaper(changes: list[summary.Change], advice: Advice) -> str:
    """`6 of 9 statements get cheaper`."""
    verb = "gets" if len(changes) == 1 else "get"
    return f"{len(changes):,} of {counted(len(advice.effects), 'statement')} {verb} cheaper"


def worst(changes: list[summary.Change], advice: Advice) -> str:
    """What becomes of the tail: `2 statements get dearer, the worst by 3.8 % (10 % is allowed)`."""
    allowed = f" ({words.percent(advice.tolerance)} is allowed)" if advice.tolerance is not None else ""
    if not changes:
        return "No statement gets dearer."
    number = counted(len(changes), "statement")
    return f"{number} {'gets' if len(changes) == 1 else 'get'} dearer, the worst: {factor(changes[0].ratio)}{allowed}"


def measured(entry: Measured) -> str:
    """What a measurement found: `measured: 11 statements, 4.2 s → 1.3 s (−69 %)`."""
    if not entry.outcomes:
        return "nothing was measured"
    ran = counted(len({outcome.trial.fingerprint for outcome in entry.outcomes}), "statement")
    change = entry.after_ms / entry.before_ms - 1 if entry.before_ms > 0 else 0.0
    times = f"{words.duration(entry.before_ms)} → {words.duration(entry.after_ms)}"
    return f"{ran} run without and with the set, weighted: {times} ({signed_percent(change)})"


def spread(outcome: Outcome) -> str:
    """The change of one statement with the interval that holds it."""
    interval = outcome.interval
    if outcome.is_bound:
        return f"{time_factor(interval.ratio)} at least"
    return f"{time_factor(interval.ratio)} ({signed_percent(interval.low - 1)} to {signed_percent(interval.high - 1)})"


def measured_facts(entry: Measured) -> list[str]:
    """What else a measurement says, a line each: how much times vary by themselves, what was not built or not run."""
    facts = []
    if entry.noise is not None:
        low, high = (signed_percent(ratio - 1) for ratio in entry.noise)
        facts.append(f"statements whose plans stay the same varied by {low} to {high}")
    facts += [
        f"withdrawn: {line(each.name, 80)}: {each.fingerprint} takes {each.ratio:.2g} times as long with it, "
        "whatever the planner says"
        for each in entry.withdrawn
    ]
    facts += [f"not built: {line(name, 80)}: {line(reason, 300)}" for name, reason in entry.not_built]
    reasons = Counter(skipped.reason.removeprefix("not run: ") for skipped in entry.skipped)
    facts += [f"{counted(number, 'statement')} not run: {line(reason, 300)}" for reason, number in reasons.items()]
    if not entry.is_complete:
        facts.append("its time limit ended it")
    return [*facts, *(line(note, 300) for note in entry.notes)]
