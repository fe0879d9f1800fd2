"""What the lab finds out from a capture, as evidence: plans the live server was not asked for, the best indexes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryfit.advise.remembered import Run, remembered
from queryfit.errors import QueryfitError
from queryfit.evidence.session import Addition, open_session
from queryfit.lab.part import MOST_WHOLE, part_of, texts_of_session
from queryfit.lab.search_path import search_path_of

if TYPE_CHECKING:
    from queryfit.advise.advise import Outcome
    from queryfit.advise.model import Chosen
    from queryfit.evidence.store import Capture

Say = Callable[[str], None]
Row = dict[str, Any]
ORIGIN = "lab"
MOST_STATEMENTS = 200
"""Of a database that is carried in part (see `lab.part`): the ones that take the most time, and the tables that they
reach. A lab for all would take longer to build than an audit may take; `queryfit advise` builds it."""

MOST_PLANS = 20_000
MOST_SECONDS = 60.0
MOST_SECONDS_IN_PART = 20.0  # the audit itself takes longer there
_AMONG = (
    " and text.fingerprint in (select fingerprint from workload where database = $database"
    " order by execution_ms desc, fingerprint limit {})"
)
MOST_REFUSED = 200  # statements that the live server did not plan, planned here


@dataclass(slots=True)
class _Found:
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    planned: set[tuple[str, str]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def found_in_lab(capture: Capture, store: Path, say: Say = lambda _: None) -> tuple[Addition, list[str]]:
    """Plans and index advice of every captured database, and notes on what was not done.

    Never raises for what the lab cannot do: an audit is worth having without it.
    """
    found = _Found()
    for database, relations, statements in _databases(capture):
        most = None
        if relations > MOST_WHOLE and statements > MOST_STATEMENTS:
            most = MOST_STATEMENTS
            found.notes.append(
                f"{database}: of its {statements:,} statements the {most} that take the most time were planned in the"
                " lab; `queryfit advise` plans all"
            )
        try:
            _refused(capture, database, found, say, most)
            _advised(capture, database, store, found, say=say, most=most)
        except QueryfitError as error:
            hint = f" ({error.hint})" if error.hint else ""
            found.notes.append(f"{database} was not planned in the lab: {error.message}{hint}")
    return Addition(dict(found.rows), frozenset(found.planned)), found.notes


def _databases(capture: Capture) -> list[tuple[str, int, int]]:
    """Databases with statements, and how many tables and statements they have."""
    with open_session(capture) as session:
        rows = session.query(
            "select database, count(*), (select count(*) from workload where workload.database = relation.database)"
            " from relation where kind <> 'view' and database in (select database from statement)"
            " group by database order by database"
        ).rows
    return [(str(database), int(relations), int(statements)) for database, relations, statements in rows]


def _refused(capture: Capture, database: str, found: _Found, say: Say, most: int | None) -> None:
    """Plan the statements that the live server was not asked about, of the `most` that take the most time."""
    with open_session(capture) as session:
        rows = session.query(
            "select text.fingerprint, text.text from unread join statement_text as text"
            " on unread.subject = 'fingerprint:' || text.fingerprint"
            " left join workload on workload.fingerprint = text.fingerprint and workload.database = unread.database"
            f" where table_name = 'plan' and unread.database = $database{_AMONG.format(most) if most else ''}"
            f" order by workload.execution_ms desc nulls last, text.fingerprint limit {MOST_REFUSED}",
            {"database": database},
        ).rows
        search_path = search_path_of(session)
        part = part_of(session, database, texts_of_session(session, database, most=most)) if rows else None
    if not rows:
        return
    from queryfit.advise.doubts import doubts_of  # noqa: PLC0415 -- psycopg and pglast load with it
    from queryfit.lab.build import build  # noqa: PLC0415
    from queryfit.lab.planner import Planned, Query  # noqa: PLC0415
    from queryfit.lab.whatif import LabPlanner  # noqa: PLC0415

    queries = [Query(fingerprint, text, search_path=search_path) for fingerprint, text in rows]
    with build(capture, database, say, part=part) as lab, LabPlanner(lab) as planner:
        say(f"{database}: planning {len(queries)} statements in the lab")
        plans = planner.plan_all(queries)
        for query in queries:
            plan = plans[query.key]
            if isinstance(plan, Planned) and not doubts_of(lab, planner, [query]):
                _add_plan(found, database, query.key, plan.document)


def _add_plan(found: _Found, database: str, fingerprint: str, top: Mapping[str, Any]) -> None:
    from queryfit.plans.explain import read_plan  # noqa: PLC0415

    document = [{"Plan": dict(top)}]
    nodes = read_plan(document)
    plan = f"{fingerprint}/{database}/lab"
    found.planned.add((database, fingerprint))
    found.rows["plan"].append(
        {
            "plan": plan,
            "database": database,
            "fingerprint": fingerprint,
            "origin": ORIGIN,
            "total_cost": nodes[0].total_cost,
            "plan_rows": nodes[0].plan_rows,
            "document": json.dumps(document, ensure_ascii=False, separators=(",", ":")),
        }
    )
    found.rows["plan_node"] += [{"plan": plan, **asdict(node)} for node in nodes]


def _advised(capture: Capture, database: str, store: Path, found: _Found, *, say: Say, most: int | None) -> None:
    from queryfit.advise.advise import advise  # noqa: PLC0415
    from queryfit.advise.request import Request  # noqa: PLC0415

    request = Request(
        str(capture.folder),
        store,
        database=database,
        with_removals=most is None,  # what the others need would not be known
        max_plans=MOST_PLANS,
        time_limit_s=MOST_SECONDS if most is None else MOST_SECONDS_IN_PART,
        has_curve=False,
        most_statements=most,
    )
    outcome = advise(request, lambda text: say(f"{database}: {text}"))
    advice = outcome.advice
    if not advice.is_complete:
        found.notes.append(f"{database}: the search for indexes was ended early; `queryfit advise` goes on longer")
    found.rows["index_candidate"] += _candidates(outcome, database)
    found.rows["what_if"] += _effects(outcome, database, remembered(capture, database))


def _candidates(outcome: Outcome, database: str) -> Iterator[Row]:
    from queryfit.advise.migration import statements_of  # noqa: PLC0415

    advice, standing = outcome.advice, outcome.standing
    for chosen in advice.chosen:
        candidate = chosen.candidate
        fix, undo = statements_of(chosen, standing)
        yield {
            "database": database,
            "candidate": candidate.index.subject,
            "action": "add",
            "relation": candidate.index.relation,
            "leading_key": candidate.index.keys[0].expression,
            "access_method": candidate.index.access_method,
            "index_name": chosen.name,
            "why": candidate.why,
            "replaces": ", ".join(candidate.replaces) or None,
            "size_bytes": candidate.size.size_bytes if candidate.size else None,
            "saving_ms_per_day": chosen.saving,
            "upkeep_ms_per_day": candidate.upkeep,
            "build_ms": chosen.build_ms,
            "disk_bytes": chosen.disk_bytes,
            "fix_sql": fix,
            "undo_sql": undo,
            "planner_version": outcome.planner_version,
        }
    for removal in advice.removals:
        existing = removal.existing
        fix, undo = statements_of(removal, standing)
        yield {
            "database": database,
            "candidate": existing.name,
            "action": "drop",
            "relation": existing.index.relation,
            "leading_key": existing.index.keys[0].expression,
            "access_method": existing.index.access_method,
            "index_name": existing.name,
            "why": removal.reason,
            "size_bytes": existing.size_bytes,
            "saving_ms_per_day": removal.saving,
            "upkeep_ms_per_day": existing.upkeep,
            "fix_sql": fix,
            "undo_sql": undo,
            "planner_version": outcome.planner_version,
        }


def _effects(outcome: Outcome, database: str, runs: Mapping[str, Run]) -> Iterator[Row]:
    """A statement's saving belongs to the indexes that its plans use, by what the set would lose without each.

    Where it was measured with the very indexes, the time that was saved then counts.
    """
    advice = outcome.advice
    by_name = {chosen.name: chosen for chosen in advice.chosen}
    times = {statement.fingerprint: statement.execution_ms_per_day for statement in advice.workload.statements}
    for effect in advice.effects:
        used: Sequence[Chosen] = [by_name[name] for name in effect.indexes if name in by_name]
        whole = sum(max(chosen.saving, 0) for chosen in used)
        saved = (effect.cost_before - effect.cost_after) * effect.weight
        run = runs.get(effect.fingerprint)
        if run is not None and used and run.indexes == {chosen.candidate.index.subject for chosen in used}:
            saved = effect.cost_before * effect.weight * (1 - run.ratio)
        else:
            run = None
        row: Row = {
            "database": database,
            "fingerprint": effect.fingerprint,
            "candidate": None,
            "cost_before": effect.cost_before,
            "cost_after": effect.cost_after,
            "saved_ms_per_day": saved,
            "execution_ms_per_day": times.get(effect.fingerprint),
            "measured_before_ms": run.before_ms if run else None,
            "measured_after_ms": run.after_ms if run else None,
            "measured_ratio": run.ratio if run else None,
        }
        if not used:
            yield row
        for chosen in used:
            part = max(chosen.saving, 0) / whole if whole else 1 / len(used)
            yield {**row, "candidate": chosen.candidate.index.subject, "saved_ms_per_day": saved * part}
