"""The captured statements that a migration may concern, ready to be planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queryfit.lab.parameters import Representatives
from queryfit.lab.planner import NotPlannedError, Query
from queryfit.lab.search_path import schemas_of_statements, search_path_of
from queryfit.lab.texts import Plannable, plannable

if TYPE_CHECKING:
    from queryfit.evidence.session import Session
    from queryfit.lab.relations import Relations

MOST_READ = 5_000  # statements whose texts are looked at, those that take the most time first
MOST_PLANNED = 500  # of those that the migration may concern
_PLANNED_KINDS = frozenset({"select", "insert", "update", "delete", "merge"})
_STATEMENTS = """
select workload.fingerprint, workload.text, workload.kind, workload.calls_per_day, workload.execution_ms_per_day,
    workload.window_s, workload.time_share, statement_text.is_truncated
from workload
join statement_text on statement_text.fingerprint = workload.fingerprint
where workload.database = $database
order by workload.execution_ms desc, workload.fingerprint
"""


@dataclass(frozen=True, slots=True)
class Captured:
    """One captured statement. The first of its queries is the statement itself, the others have values."""

    fingerprint: str
    text: str
    queries: tuple[tuple[Query, Plannable], ...]
    reached: frozenset[str] | None  # schema.name of relations; null: it may be any
    calls_per_day: float | None
    execution_ms_per_day: float | None
    window_s: float | None
    time_share: float


@dataclass(frozen=True, slots=True)
class Found:
    """Statements that are concerned, and how many were left out for which reason."""

    statements: tuple[Captured, ...]
    left_out: Counter[str]
    is_complete: bool  # no statement that is concerned was left out by a limit


def captured_statements(
    session: Session,
    database: str,
    relations: Relations,
    *,
    version_number: int,
    concerns: Callable[[frozenset[str] | None], bool],
) -> Found:
    """The statements of a captured database that reach what `concerns` says, by their time, longest first."""
    rows = list(session.query(_STATEMENTS, {"database": database}).mappings())
    reader = _Reader(schemas_of_statements(session, database), search_path_of(session), version_number)
    variants = Representatives.of(session, database).variants
    found: list[Captured] = []
    left_out: Counter[str] = Counter()
    for row in rows[:MOST_READ]:
        reason = _unreadable(row)
        if reason is not None:
            left_out[reason] += 1
            continue
        read = reader.read(row)
        if read is None:
            continue  # nothing that any migration could break
        reached = relations.reached(read[1].statement, read[0].search_path)
        if not concerns(reached):
            continue
        if len(found) == MOST_PLANNED:
            left_out[f"only the {MOST_PLANNED} that take the most time are planned"] += 1
            continue
        queries = [read]
        for variant in variants(read[0])[1:]:
            with suppress(NotPlannedError):
                queries.append((variant, plannable(variant, version_number)))
        found.append(
            Captured(
                row["fingerprint"],
                row["text"],
                tuple(queries),
                reached,
                row["calls_per_day"],
                row["execution_ms_per_day"],
                row["window_s"],
                row["time_share"],
            )
        )
    return Found(tuple(found), left_out, is_complete=not left_out and len(rows) <= MOST_READ)


def _unreadable(row: Mapping[str, Any]) -> str | None:
    """Why it is not known what a statement says; null where it is."""
    if row["kind"] == "hidden":
        return "its text is hidden from the role that captured it"
    if row["is_truncated"] and row["kind"] in _PLANNED_KINDS:
        return "its text was cut short by track_activity_query_size"
    return None


@dataclass(frozen=True, slots=True)
class _Reader:
    schemas: Mapping[str, Sequence[str]]  # by fingerprint, those of the relations that it names
    path: tuple[str, ...]
    version_number: int

    def read(self, row: Mapping[str, Any]) -> tuple[Query, Plannable] | None:
        """A statement as it can be planned; null for one that cannot be."""
        if row["kind"] not in _PLANNED_KINDS:
            return None
        path = tuple(dict.fromkeys((*self.schemas.get(row["fingerprint"], ()), *self.path)))
        query = Query(row["fingerprint"], row["text"], None, path)
        try:
            return query, plannable(query, self.version_number)
        except NotPlannedError:
            return None
