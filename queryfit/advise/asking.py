"""The first half of `queryfit advise`: the capture, the workload, candidates with their sizes and upkeep."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryfit.advise.migration_facts import standing
from queryfit.advise.model import Candidate, Existing, Workload
from queryfit.advise.request import FINGERPRINT, Asked, By, Request, Say
from queryfit.audit import find_capture, take_capture
from queryfit.errors import QueryfitError
from queryfit.evidence.session import Session
from queryfit.evidence.store import Capture, Store
from queryfit.lab.search_path import search_path_of

if TYPE_CHECKING:
    from queryfit.advise.candidates.facts import Statement
    from queryfit.lab.jobs import BatchPlanner
    from queryfit.lab.planner import Index

_WRITING = re.compile(r"\s*(?:insert|update|delete|merge|with)\b", re.IGNORECASE)
_PARAMETER = re.compile(r"\$\d")
_LONGEST_EXAMPLE = 60  # characters
_SHARE_FOR_SIZES = 0.2  # of the time that is left


@contextmanager
def captured(request: Request, say: Say) -> Iterator[Capture]:
    """The capture that is named, or one of the server: kept in the store, or for now where that is not writable."""
    from queryfit.capture.server import CaptureOptions  # noqa: PLC0415 -- psycopg loads only where a server is asked

    store = Store(request.store)
    found = find_capture(request.target, store)
    if found is not None:
        yield found
        return
    wanted = CaptureOptions(databases=(request.database,) if request.database else "one", max_plans=0)
    try:
        store.prepare()
    except QueryfitError:
        with tempfile.TemporaryDirectory(prefix="queryfit-") as folder:
            yield take_capture(request.target, wanted, Store(Path(folder)), progress=say)
        return
    yield take_capture(request.target, wanted, store, progress=say)


def workload_of(session: Session, database: str, by: By, request: Request) -> Workload:
    """What is to be advised on. Raises QueryfitError where there is nothing of it."""
    from queryfit.advise.workload import workload_of_file, workload_of_session, workload_of_text  # noqa: PLC0415
    from queryfit.lab.parameters import Representatives  # noqa: PLC0415

    path = search_path_of(session)
    variants = Representatives.of(session, database, by.reached).variants
    if request.query is not None and not FINGERPRINT.fullmatch(request.query.strip()):
        found = workload_of_text(request.query, search_path=path, where="--for", variants=variants)
    elif request.workload_text is not None:
        found = workload_of_text(request.workload_text, search_path=path, where="standard input", variants=variants)
    elif request.workload_file is not None:
        found = workload_of_file(request.workload_file, search_path=path, variants=variants)
    else:
        found = workload_of_session(session, database, by.planner, variants=variants, most=request.most_statements)
        if request.query is not None:
            found = _only(found, request.query.strip())
    if not found.statements and not found.skipped:
        raise QueryfitError(
            "there is no statement to advise on",
            hint="`queryfit doctor` says whether the server counts them; --workload FILE takes some of yours",
        )
    return replace(found, database=database)


def _only(workload: Workload, fingerprint: str) -> Workload:
    """One statement of a captured workload. Raises QueryfitError where no statement, or several, begin so."""
    statements = tuple(entry for entry in workload.statements if entry.fingerprint.startswith(fingerprint))
    skipped = tuple(entry for entry in workload.skipped if entry.fingerprint.startswith(fingerprint))
    if len(statements) + len(skipped) != 1:
        what = "several captured statements begin" if statements or skipped else "no captured statement begins"
        raise QueryfitError(
            f"{what} with the fingerprint {fingerprint}",
            hint="`queryfit audit --format json` shows fingerprints; --for takes the SQL of a statement, too",
        )
    return replace(workload, statements=statements, skipped=skipped)


def asked_of(session: Session, database: str, workload: Workload, by: By, request: Request) -> Asked:
    from queryfit.advise.candidates.evidence import (  # noqa: PLC0415 -- pglast loads with it
        catalog_of_session,
        relations_of,
        schema_of_session,
        statements_of_session,
        statements_of_workload,
    )
    from queryfit.advise.candidates.facts import Options  # noqa: PLC0415
    from queryfit.advise.candidates.propose import propose  # noqa: PLC0415
    from queryfit.advise.existing import existing_indexes  # noqa: PLC0415

    if request.is_captured:
        wanted = {statement.fingerprint for statement in workload.statements}
        statements = statements_of_session(session, database, wanted)
    else:
        statements = statements_of_workload(workload, catalog_of_session(session, database))
    by.say(f"candidates for {len(workload.statements):,} statements")
    proposal = propose(
        statements, schema_of_session(session, database, relations_of(statements)), Options(max_width=request.max_width)
    )
    removes = request.with_removals and request.is_whole
    existing = tuple(existing_indexes(session, database)) if removes else ()
    candidates = proposal.candidates if request.max_indexes != 0 else ()
    candidates, existing = _priced(session, workload, candidates, existing, by=by, request=request)
    if not removes:
        candidates = tuple(replace(candidate, replaces=()) for candidate in candidates)
    return Asked(
        workload, candidates, proposal.rejected, existing, standing(session, database), _server(session, database),
        tuple(_hidden_constants(statements)),
    )  # fmt: skip


def _hidden_constants(statements: Sequence[Statement]) -> Iterator[str]:
    """Expressions that an index could be on, if their constants were known."""
    hidden = {
        (statement.fingerprint, use.expression)
        for statement in statements
        for use in statement.references
        if use.role in {"equality", "range", "pattern"} and use.expression and _PARAMETER.search(use.expression)
    }
    if hidden:
        number = len({fingerprint for fingerprint, _ in hidden})
        example = min(expression for _, expression in hidden if expression)
        yield (
            f"{number} {'statement compares' if number == 1 else 'statements compare'} an expression whose constant is "
            f"not known, as in {example[:_LONGEST_EXAMPLE]}: no index on it was looked for; --workload takes the "
            "statement with its constant"
        )


def database_of(session: Session, capture: Capture, wanted: str | None) -> str:
    """The database that is asked for, or the only one that the capture holds. Raises QueryfitError."""
    names = [name for (name,) in session.query("select distinct database from relation order by 1").rows]
    if wanted is not None and wanted in names:
        return wanted
    if wanted is None and len(names) == 1:
        return str(names[0])
    if not names:
        raise QueryfitError(
            f"capture {capture.name} holds no table", hint="take a full one of a database with tables: queryfit capture"
        )
    held = f"capture {capture.name} holds {', '.join(names)}"
    raise QueryfitError(f"{held}, no {wanted}" if wanted else held, hint="name one of them with --database")


def _server(session: Session, database: str) -> str:
    row = next(iter(session.query("select version, provider from server").mappings()), None)
    number = str(row["version"]).partition(" ")[0] if row else ""
    return f"PostgreSQL {number} ({row['provider']}) · {database}" if row else database


def _priced(
    session: Session,
    workload: Workload,
    candidates: Sequence[Candidate],
    existing: Sequence[Existing],
    *,
    by: By,
    request: Request,
) -> tuple[tuple[Candidate, ...], tuple[Existing, ...]]:
    """Candidates with their sizes, and all indexes with their upkeep in the workload's unit."""
    from queryfit.advise.sizes.sample import sizes_of  # noqa: PLC0415
    from queryfit.advise.upkeep import upkeep_of, writes_in, writes_of  # noqa: PLC0415
    from queryfit.lab.table_facts import tables_of  # noqa: PLC0415

    relations = {candidate.index.relation for candidate in candidates} | {one.index.relation for one in existing}
    tables = tables_of(session, workload.database, relations)
    by.say(f"sizes of {len(candidates):,} candidates")
    weights = {one.fingerprint: one.execution_ms_per_day or one.weight for one in workload.statements}
    # building takes long: if the time is not enough for all, then for those of the statements that count most
    by_weight = sorted(candidates, key=lambda one: -sum(weights.get(name, 0.0) for name in one.fingerprints))
    until = time.monotonic() + max(0.0, by.deadline - time.monotonic()) * _SHARE_FOR_SIZES

    def tell(done: int, number: int) -> None:
        by.say(f"sizes: {done:,} of {number:,} built on a sample")

    with by.lab.connect() if by.lab is not None else nullcontext() as connection:
        sizes = sizes_of([one.index for one in by_weight], tables, connection, deadline=until, tell=tell)
    writes = (
        writes_of(session, workload.database)
        if request.is_captured
        else writes_in(workload, tables, _written(workload, by.planner))
    )

    def upkeep(index: Index) -> float:
        relation = index.relation
        return upkeep_of(index, tables[relation], writes[relation]) if {relation} <= tables.keys() & writes else 0.0

    return (
        tuple(replace(one, size=sizes[one.index] or one.size, upkeep=upkeep(one.index)) for one in candidates),
        tuple(replace(one, upkeep=upkeep(one.index)) for one in existing),
    )


def _written(workload: Workload, planner: BatchPlanner) -> dict[str, Mapping[str, Any]]:
    """The plans of statements that write, by fingerprint: they say how many rows."""
    from queryfit.lab.planner import Planned  # noqa: PLC0415

    queries = {
        statement.fingerprint: statement.queries[0]
        for statement in workload.statements
        if statement.queries and _WRITING.match(statement.text)
    }
    plans = planner.plan_all([replace(query, key=name) for name, query in queries.items()]) if queries else {}
    return {name: plan.document for name, plan in plans.items() if isinstance(plan, Planned)}
