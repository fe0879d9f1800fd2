"""Advice as one page that needs no network: it can be mailed, kept, and read on a telephone.

Everything that is filled in is escaped by the template engine; control characters are written out before. The page
says itself that it runs no script and loads nothing (Content-Security-Policy).
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

from queryfit import __version__, words
from queryfit.advise import summary
from queryfit.advise.measure.measured import Measured
from queryfit.advise.migration import Migration
from queryfit.advise.model import Advice
from queryfit.render import advice_phrases as phrases
from queryfit.render import pages
from queryfit.render.advice_curve import svg
from queryfit.render.escape import block, line
from queryfit.render.phrases import counted

_MOST_STATEMENT = 2_000
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=[kMGT]?B\b)")


def render(advice: Advice, *, migration: Migration | None = None, measured: Measured | None = None) -> str:
    """The page."""
    environment = pages.environment()
    environment.filters["block"] = block
    template = environment.get_template("advice.html")
    return template.render(_facts(advice, migration, measured))


def _facts(advice: Advice, migration: Migration | None, measured: Measured | None) -> dict[str, Any]:
    """What the page shows, in words."""
    changes = summary.changes(advice)
    has_set = bool(advice.chosen or advice.removals)
    saved = summary.saving(advice)
    return {
        "version": __version__,
        "place": line(advice.server or advice.workload.database, 200),
        "has_set": has_set,
        "saved": phrases.signed_percent(-summary.share(saved, advice)),
        "saved_of": "of the statement time" if summary.is_timed(advice) else "of the workload's planner cost",
        "cards": _cards(advice, saved),
        "headline": phrases.headline(advice),
        "certainty": phrases.certainty(advice),
        "effort": f"{phrases.load(advice)} · {phrases.effort(advice)}",
        # our own markup, whose texts are escaped where it is made
        "curve": Markup(svg(advice, is_alone=False)) if len(summary.curve(advice)) > 1 else None,  # noqa: S704
        "proof": phrases.proof(advice),
        "saves_head": phrases.per_day("saves", advice),
        "costs_head": phrases.per_day("costs", advice),
        "upkeep_head": phrases.per_day("upkeep", advice),
        "chosen": [_chosen(chosen, advice) for chosen in advice.chosen],
        "removals": [
            {
                "name": line(entry.existing.name, 300),
                "subject": line(entry.existing.index.subject, 300),
                "frees": words.size(entry.existing.size_bytes),
                "reason": line(entry.reason, 300),
            }
            for entry in advice.removals
        ],
        "helped_head": phrases.cheaper(summary.helped(changes), advice),
        "helped": [_change(change, advice) for change in summary.helped(changes)],
        "hurt_head": phrases.worst(summary.hurt(changes), advice),
        "hurt": [_change(change, advice) for change in summary.hurt(changes)],
        "has_runs": bool(advice.measured),
        "measured": phrases.measured(measured) if measured is not None else None,
        "measured_facts": _measured_facts(measured) if measured is not None else [],
        "points": [
            {
                "budget": phrases.budget(point),
                "size": words.size(point.size_bytes),
                "indexes": len(point.indexes),
                "saves": summary.percent(summary.share(advice.cost_before - point.cost_after, advice)),
                "most": summary.percent(summary.share(advice.cost_before - point.bound, advice)),
            }
            for point in summary.curve(advice)
        ],
        "rejected_head": f"{counted(len(advice.rejected), 'candidate')} left out",
        "rejected": [
            {
                "subject": line(entry.candidate.index.subject, 300),
                "size": words.size(entry.candidate.size.size_bytes) if entry.candidate.size is not None else "",
                "reason": line(entry.reason, 300),
            }
            for entry in advice.rejected
        ],
        "gaps_head": f"Not checked: {counted(len(advice.workload.skipped), 'statement')}",
        "gaps": [
            {"reason": line(gap.reason, 300), "hint": line(gap.hint or "", 300),
             "many": counted(len(gap.fingerprints), "statement")}
            for gap in summary.gaps(advice)
        ],
        "notes": [line(note, 400) for note in advice.notes],
        "migration": migration.text.rstrip() if migration is not None and has_set else None,
    }  # fmt: skip


def _measured_facts(measured: Measured) -> list[str]:
    slower = [f"slower: {phrases.spread(entry)}: {line(entry.trial.query.text, 300)}" for entry in measured.slower]
    return [*slower, *phrases.measured_facts(measured)]


def _cards(advice: Advice, saved: float) -> list[tuple[str, str]]:
    """The numbers on top, each with what it is."""
    time = sum(chosen.build_ms or 0 for chosen in advice.chosen)
    cards = (
        [("saved a day" if summary.is_daily(advice) else "saved", words.duration(saved))]
        if summary.is_timed(advice)
        else []
    )
    cards.append(("to build", f"{counted(len(advice.chosen), 'index', 'indexes')}, {words.size(advice.size_bytes)}"))
    if advice.removals:
        freed = words.size(phrases.freed_bytes(advice))
        cards.append(("to drop", f"{counted(len(advice.removals), 'index', 'indexes')}, {freed}"))
    cards.append((phrases.per_day("upkeep", advice).replace("/day", " a day"), phrases.amount(advice.upkeep, advice)))
    if time:
        cards.append(("building takes", f"about {words.duration(time)}"))
    return [(what, _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", value)) for what, value in cards]


def _chosen(chosen: Any, advice: Advice) -> dict[str, Any]:
    return {
        "name": line(chosen.name, 200),
        "subject": line(chosen.candidate.index.subject, 300),
        "why": line(chosen.candidate.why, 300),
        "size": phrases.size(chosen),
        "saves": phrases.amount(chosen.saving, advice),
        "is_saving": chosen.saving > 0,
        "upkeep": phrases.amount(chosen.candidate.upkeep, advice),
        "build": phrases.duration(chosen.build_ms),
        "disk": words.size(chosen.disk_bytes) if chosen.disk_bytes else "",
        "used": len(chosen.fingerprints),
    }


def _change(change: summary.Change, advice: Advice) -> dict[str, str]:
    return {
        "amount": phrases.amount(abs(change.saving), advice),
        "factor": phrases.factor(change.ratio),
        "run": phrases.run(change, advice),
        "text": line(change.text, _MOST_STATEMENT),
    }
