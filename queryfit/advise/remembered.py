"""What was measured of statements without and with indexes, kept beside the captures: later audits prove with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryfit.evidence.store import write_atomically

if TYPE_CHECKING:
    from queryfit.advise.measure.measured import Measured
    from queryfit.advise.model import Advice
    from queryfit.evidence.store import Capture


@dataclass(frozen=True, slots=True)
class Run:
    """A statement as it was measured last. `ratio` is its time with the indexes over that without."""

    indexes: frozenset[str]  # subjects of the indexes that its plan used
    before_ms: float
    after_ms: float
    ratio: float


def remember(capture: Capture, database: str, advice: Advice, measured: Measured) -> None:
    """Keep the last measurement of each statement of the captured database."""
    subjects = {chosen.name: chosen.candidate.index.subject for chosen in advice.chosen}
    path = _file(capture, database)
    runs = _read(path)
    for outcome in measured.outcomes:
        if outcome.is_bound or outcome.is_control:
            continue  # a bound is no number, a control says nothing of the set
        runs[outcome.trial.fingerprint] = {
            "indexes": sorted(subjects[name] for name in outcome.after.indexes if name in subjects),
            "before_ms": outcome.before.median_ms,
            "after_ms": outcome.after.median_ms,
            "ratio": outcome.ratio,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    write_atomically(path, json.dumps({"database": database, "statements": runs}, indent=1))


def remembered(capture: Capture, database: str) -> Mapping[str, Run]:
    """Measurements by fingerprint; none where there were none, or what was kept cannot be read."""
    found: dict[str, Run] = {}
    for fingerprint, run in _read(_file(capture, database)).items():
        try:
            found[fingerprint] = Run(
                frozenset(map(str, run["indexes"])),
                float(run["before_ms"]),
                float(run["after_ms"]),
                float(run["ratio"]),
            )
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _file(capture: Capture, database: str) -> Path:
    return capture.folder.parent / f"measured-{hashlib.sha256(database.encode()).hexdigest()[:8]}.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["statements"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return runs if isinstance(runs, dict) else {}
