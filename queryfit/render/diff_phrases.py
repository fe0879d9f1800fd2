"""Differences between two captures in the words that every renderer for people uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from queryfit import words
from queryfit.history.diff import Diff, Side, StatementChange
from queryfit.render.phrases import counted
from queryfit.render.phrases import server as server_in_words

INDEX_USES = {"began": "now used", "stopped": "no longer used", "unused": "not used"}
ORDER = ("slower", "faster", "new", "gone", "busier", "quieter")
_EVENTS = {
    "statements_reset": "statement counters were reset",
    "counters_reset": "counters of tables and indexes were reset",
    "evicted": "statements were dropped from pg_stat_statements to make room",
    "restarted": "the server restarted",
    "crashed": "the server came back from a crash",
    "failed_over": "another server took over",
    "upgraded": "the server was upgraded",
    "gap": "nothing was captured",
}
# said already, under schema and settings
_SAID = frozenset(
    {
        "setting_changed",
        "index_added",
        "index_dropped",
        "relation_added",
        "relation_dropped",
        "column_changed",
        "analyzed",
    }
)


def server(diff: Diff) -> str:
    """The server of the later capture, or both."""
    now = server_in_words(diff.now.server)
    return now if diff.is_same_server else f"{server_in_words(diff.before.server)} against {now}"


def sides(diff: Diff) -> list[str]:
    """Both captures, and how much of the time between them was watched."""
    watched = f", {words.duration(diff.seconds * 1000)} of it watched" if diff.seconds else ""
    apart = (diff.now.at - diff.before.at).total_seconds() * 1000
    between = f"{words.duration(apart)} between them{watched}" if diff.is_same_server else "two servers"
    return [f"before {_side(diff.before)}", f"now    {_side(diff.now)} · {between}"]


def _side(side: Side) -> str:
    return f"{side.at:%Y-%m-%d %H:%M} UTC ({side.name}, {side.kind})"


def summary(diff: Diff) -> str:
    """One sentence: how much of what is different."""
    changes = Counter(entry.change for entry in diff.statements)
    parts = [f"{counted(changes[name], 'statement')} {name}" for name in ORDER if changes[name]]
    parts += [counted(len(diff.schema), "schema change")] if diff.schema else []
    parts += [counted(len(diff.settings), "setting")] if diff.settings else []
    uses = Counter(entry.use for entry in diff.indexes)
    parts += [f"{counted(uses['stopped'], 'index', 'indexes')} no longer used"] if uses["stopped"] else []
    parts += [f"{counted(uses['began'], 'index', 'indexes')} now used"] if uses["began"] else []
    return ", ".join(parts) if parts else "Nothing that can be compared is different."


def since(entry: StatementChange) -> str | None:
    """When it began."""
    at: datetime | None = entry.facts.get("changed_at")
    if at is None:
        return None
    return f"{'last seen' if entry.change == 'gone' else 'since'} {at:%Y-%m-%d %H:%M}"


def numbers(entry: StatementChange) -> list[str]:
    """What moved, before and now: time and blocks of a call, calls a day, time a day."""
    facts = entry.facts
    found = [
        _moved(facts, "mean_ms", words.duration, "a call"),
        _moved(facts, "blocks_per_call", words.number, "blocks"),
        _moved(facts, "calls_per_day", words.number, "calls/day"),
    ]
    was, now = facts.get("execution_ms_per_day_before"), facts.get("execution_ms_per_day")
    if was is not None and now is not None:
        found.append(f"{'+' if now >= was else '-'}{words.duration(abs(now - was))}/day")
    elif now is not None:
        found.append(f"{words.duration(now)}/day")
    return [text for text in found if text]


def _moved(facts: Mapping[str, Any], name: str, form: Any, unit: str) -> str | None:
    was, now = facts.get(f"{name}_before"), facts.get(name)
    if was is None and now is None:
        return None
    if was is None or now is None:
        return f"{form(now if was is None else was)} {unit}"
    texts = form(was), form(now)
    return f"{texts[0]} {unit}" if texts[0] == texts[1] else f"{texts[0]} → {texts[1]} {unit}"


def plans(entry: StatementChange) -> list[str]:
    """Its plan before and now, where they differ."""
    was, now = entry.facts.get("plan_before"), entry.facts.get("plan_now")
    is_short = not any(" ← " in str(plan) or "(" in str(plan) for plan in (was, now))
    if not was or not now or was == now or is_short:  # a plan of one node is told by the reason
        return []
    return [f"plan before: {was}", f"plan now: {now}"]


def events(diff: Diff) -> list[str]:
    """What happened to the server and its counters, once a kind; not to single statements, tables and indexes."""
    by_kind: dict[tuple[str, str | None], list[Mapping[str, Any]]] = {}
    for entry in diff.events:
        if entry["kind"] not in _SAID and not entry["subject"]:
            by_kind.setdefault((str(entry["kind"]), entry.get("database")), []).append(entry)
    return [_event(entries) for entries in by_kind.values()]


def _event(entries: Sequence[Mapping[str, Any]]) -> str:
    """Events of one kind in words, with the time of the first and of the last."""
    first, last = entries[0], entries[-1]
    kind = str(first["kind"])
    about = f" ({first['database']})" if first.get("database") else ""
    text = f"{_EVENTS.get(kind, kind.replace('_', ' '))}{about}"
    if len(entries) > 1:
        since, until = (f"{entry['happened_at']:%Y-%m-%d %H:%M}" for entry in (first, last))
        return f"{since} to {until}, {len(entries)} times: {text}"
    if kind == "gap":
        return f"{first['happened_at']:%Y-%m-%d %H:%M} {first['detail'] or text}"
    return f"{first['happened_at']:%Y-%m-%d %H:%M} {text}"
