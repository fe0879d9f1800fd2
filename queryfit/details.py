"""What a capture says around one finding: its statements, their plans, the tables and the indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from queryfit.evidence.session import Session, open_session
from queryfit.evidence.store import Capture
from queryfit.findings import Finding

Row = Mapping[str, Any]

_MOST_STATEMENTS = 5
_MOST_PLANS = 2
_MOST_RELATIONS = 6
_MOST_INDEXES = 40

_STATEMENTS = """
    select fingerprint, text, kind, calls, calls_per_day, rows_per_call, mean_ms, max_ms, execution_ms_per_day,
        execution_ms, time_share, blocks_hit, blocks_read, temp_blocks_written
    from workload
    where fingerprint in (select unnest($fingerprints)) and ($database is null or database = $database)
    order by execution_ms desc
"""
_PLANS = """
    select plan, fingerprint, origin, total_cost, execution_ms
    from plan
    where fingerprint in (select unnest($fingerprints)) and ($database is null or database = $database)
    order by total_cost desc
"""
_NODES = "select * from plan_node where plan = $plan order by node"
_RELATIONS_OF = """
    select distinct relation from reference
    where fingerprint in (select unnest($fingerprints)) and ($database is null or database = $database)
    order by relation
"""
_RELATIONS = """
    select rel.relation, rel.kind, rel.tuple_rows, rel.size_bytes, rel.toast_bytes, rel.index_bytes,
        rel.is_size_estimated, counter.live_rows, counter.dead_rows, counter.sequential_scans, counter.index_scans,
        counter.inserted_rows, counter.updated_rows, counter.deleted_rows, counter.vacuumed_at, counter.analyzed_at
    from relation as rel
    left join relation_counter as counter  -- LEFT JOIN: a view has none
        on counter.database = rel.database and counter.relation = rel.relation
    where rel.relation in (select unnest($relations)) and ($database is null or rel.database = $database)
    order by rel.size_bytes desc nulls last, rel.relation
"""
_INDEXES = """
    select idx.relation, idx.index, idx.access_method, idx.key_columns, idx.included_columns, idx.predicate,
        idx.is_unique, idx.is_primary, idx.is_valid, idx.size_bytes, counter.scans
    from relation_index as idx
    left join index_counter as counter  -- LEFT JOIN: counters may be unreadable
        on counter.database = idx.database and counter.index = idx.index
    where idx.relation in (select unnest($relations)) and ($database is null or idx.database = $database)
    order by idx.relation, idx.is_primary desc, idx.index
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan and its nodes in order of appearance."""

    facts: Row
    nodes: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Details:
    """Rows of evidence around a finding; units are in the names of the columns."""

    statements: Sequence[Row]
    statement_count: int
    plans: Sequence[Plan]
    relations: Sequence[Row]
    indexes: Sequence[Row]


def no_details() -> Details:
    """Details of a finding whose capture is gone."""
    return Details((), 0, (), (), ())


def read_details(capture: Capture, finding: Finding) -> Details:
    """Read what surrounds a finding. Raises QueryfitError where the capture cannot be read."""
    fingerprints = fingerprints_of(finding)
    with open_session(capture) as session:
        of = {"fingerprints": fingerprints, "database": finding.database}
        statements = _rows(session, _STATEMENTS, of) if fingerprints else []
        plans = _rows(session, _PLANS, of)[:_MOST_PLANS] if fingerprints else []
        relations = _relations(finding)
        if fingerprints:
            relations += [row["relation"] for row in _rows(session, _RELATIONS_OF, of)]
        about = {"relations": list(dict.fromkeys(relations)), "database": finding.database}
        found = _rows(session, _RELATIONS, about)[:_MOST_RELATIONS] if relations else []
        about["relations"] = [row["relation"] for row in found]
        return Details(
            statements=statements[:_MOST_STATEMENTS],
            statement_count=len(statements),
            plans=[Plan(plan, _rows(session, _NODES, {"plan": plan["plan"]})) for plan in plans],
            relations=found,
            indexes=_rows(session, _INDEXES, about)[:_MOST_INDEXES] if found else [],
        )


def _rows(session: Session, sql: str, parameters: Mapping[str, object]) -> list[Row]:
    return list(session.query(sql, parameters).mappings())


def fingerprints_of(finding: Finding) -> list[str]:
    """The statements that a finding touches: named by its subject, by its columns, by its claims."""
    found = [finding.subject.removeprefix("fingerprint:")] if finding.subject.startswith("fingerprint:") else []
    found += [str(value) for key, value in finding.evidence.items() if key.endswith("fingerprint") and value]
    claimed = finding.evidence.get("statements")
    if isinstance(claimed, list):  # some rules have a column of that name, which counts statements
        entries = [entry for entry in claimed if isinstance(entry, dict)]
        found += [str(entry["fingerprint"]) for entry in entries if entry.get("fingerprint")]
    return list(dict.fromkeys(found))


def _relations(finding: Finding) -> list[str]:
    """Names that may be relations: the columns that say so, and the subject without its list of columns."""
    named = [str(value) for key, value in finding.evidence.items() if key.endswith("relation") and value]
    return [*named, finding.subject.rpartition(" (")[0] or finding.subject]
