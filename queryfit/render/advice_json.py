"""Advice as JSON, for programs; `schema/advice-1.json` describes it and tests hold it to that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from queryfit import __version__
from queryfit.advise import summary
from queryfit.advise.measure.measured import Measured, Outcome
from queryfit.advise.migration import Migration
from queryfit.advise.model import Advice, Candidate, Chosen, Point
from queryfit.lab.planner import Index
from queryfit.render.values import to_json

VERSION = 1
SCHEMA = Path(__file__).parent / "schema" / f"advice-{VERSION}.json"


def render(advice: Advice, *, migration: Migration | None = None, measured: Measured | None = None) -> str:
    """The advice as JSON; every key is always there, null where it is unknown."""
    return to_json(document(advice, migration=migration, measured=measured))


def schema() -> dict[str, Any]:
    """The published JSON Schema of the document."""
    read: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return read


def document(advice: Advice, *, migration: Migration | None = None, measured: Measured | None = None) -> dict[str, Any]:
    """The advice in JSON's own types."""
    saving = summary.saving(advice)
    return {
        "version": VERSION,
        "tool_version": __version__,
        "server": advice.server,
        "database": advice.workload.database,
        "unit": advice.workload.unit,
        "cost_before": advice.cost_before,
        "cost_after": advice.cost_after,
        "bound": advice.bound,
        "saving": saving,
        "saving_share": summary.share(saving, advice),
        "distance_share": summary.distance(advice.cost_after, advice.bound),
        "upkeep": advice.upkeep,
        "size_bytes": advice.size_bytes,
        "budget_bytes": advice.budget_bytes,
        "tolerance": advice.tolerance,
        "is_complete": advice.is_complete,
        "planner": advice.planner,
        "planner_calls": advice.planner_calls,
        "seconds": advice.seconds,
        "indexes": [_chosen(entry) for entry in advice.chosen],
        "removals": [
            {
                "name": entry.existing.name,
                **_index(entry.existing.index),
                "size_bytes": entry.existing.size_bytes,
                "upkeep": entry.existing.upkeep,
                "reason": entry.reason,
                "saving": entry.saving,
            }
            for entry in advice.removals
        ],
        "statements": [_statement(change, advice) for change in summary.changes(advice)],
        "rejected": [{**_candidate(entry.candidate), "reason": entry.reason} for entry in advice.rejected],
        "curve": [_point(point) for point in advice.curve],
        "not_checked": [
            {"fingerprint": entry.fingerprint, "reason": entry.reason, "hint": entry.hint}
            for entry in advice.workload.skipped
        ],
        "notes": list(advice.notes),
        "measured": _measured(measured) if measured is not None else None,
        "migration": migration.text if migration is not None else None,
        "undo": migration.undo or None if migration is not None else None,
    }


def _index(index: Index) -> dict[str, Any]:
    return {
        "subject": index.subject,
        "relation": index.relation,
        "access_method": index.access_method,
        "keys": [key.sql for key in index.keys],
        "included": list(index.included),
        "predicate": index.predicate,
        "is_unique": index.is_unique,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        **_index(candidate.index),
        "why": candidate.why,
        "replaces": list(candidate.replaces),
        "size_bytes": candidate.size.size_bytes if candidate.size is not None else None,
        "size_source": candidate.size.source if candidate.size is not None else None,
        "upkeep": candidate.upkeep,
    }


def _chosen(entry: Chosen) -> dict[str, Any]:
    return {
        "name": entry.name,
        **_candidate(entry.candidate),
        "saving": entry.saving,
        "fingerprints": list(entry.fingerprints),
        "build_ms": entry.build_ms,
        "disk_bytes": entry.disk_bytes,
    }


def _statement(change: summary.Change, advice: Advice) -> dict[str, Any]:
    return {
        "fingerprint": change.fingerprint,
        "text": change.text,
        "before": change.before,
        "after": change.after,
        "saving": change.saving,
        "ratio": change.ratio,
        "measured_ratio": advice.measured.get(change.fingerprint),
        "indexes": list(change.indexes),
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "budget_bytes": point.budget_bytes,
        "size_bytes": point.size_bytes,
        "cost_after": point.cost_after,
        "bound": point.bound,
        "indexes": [index.subject for index in point.indexes],
    }


def _measured(entry: Measured) -> dict[str, Any]:
    return {
        "manner": entry.manner,
        "before_ms": entry.before_ms,
        "after_ms": entry.after_ms,
        "seconds": entry.seconds,
        "is_complete": entry.is_complete,
        "noise_ratios": list(entry.noise) if entry.noise is not None else None,
        "statements": [_outcome(outcome) for outcome in entry.outcomes],
        "indexes": [
            {"name": built.name, "size_bytes": built.size_bytes, "build_ms": built.build_s * 1000}
            for built in entry.built
        ],
        "withdrawn": [
            {"name": each.name, "fingerprint": each.fingerprint, "ratio": each.ratio} for each in entry.withdrawn
        ],
        "not_built": [{"name": name, "reason": reason} for name, reason in entry.not_built],
        "not_checked": [
            {"fingerprint": skipped.fingerprint, "reason": skipped.reason, "hint": skipped.hint}
            for skipped in entry.skipped
        ],
        "notes": list(entry.notes),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "fingerprint": outcome.trial.fingerprint,
        "query": outcome.trial.query.key,
        "before_ms": outcome.before.median_ms,
        "after_ms": outcome.after.median_ms,
        "before_blocks": outcome.before.blocks,
        "after_blocks": outcome.after.blocks,
        "ratio": outcome.interval.ratio,
        "ratio_low": outcome.interval.low,
        "ratio_high": outcome.interval.high,
        "confidence": outcome.interval.confidence,
        "runs": len(outcome.after.times_ms),
        "is_control": outcome.is_control,
        "is_slower": outcome.is_slower,
        "is_faster": outcome.is_faster,
        "predicted_ratio": outcome.trial.predicted_ratio,
    }
