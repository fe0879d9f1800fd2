"""The whole way of `queryfit advise`: capture, workload, candidates with sizes, planner, the best set, its proof.

What is said here is only what follows what; each step is a room of its own.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryfit import words
from queryfit.advise.build_cost import build_ms, disk_bytes
from queryfit.advise.migration_facts import Standing, standing
from queryfit.advise.model import Advice, Candidate, Chosen, Existing, Rejected, Skipped, Workload
from queryfit.advise.remembered import remember
from queryfit.advise.summary import distance
from queryfit.audit import find_capture, take_capture
from queryfit.errors import QueryfitError
from queryfit.evidence.session import Session, open_session
from queryfit.evidence.store import Capture, Store
from queryfit.lab.search_path import search_path_of

if TYPE_CHECKING:
    from queryfit.advise.candidates.facts import Statement
    from queryfit.advise.measure.measured import Measured
    from queryfit.advise.selection.select import Progress as Searched
    from queryfit.lab.build import Lab
    from queryfit.lab.jobs import BatchPlanner
    from queryfit.lab.planner import Index

Say = Callable[[str], None]
_MB, _GB = 1 << 20, 1 << 30
_TOO_NEAR = 0.1  # to the budget that is asked for
_STEPS = (1, 2, 5)
_MOST_BUDGETS = 8  # on the curve, beside the one that is asked for
_WRITING = re.compile(r"\s*(?:insert|update|delete|merge|with)\b", re.IGNORECASE)
_FINGERPRINT = re.compile(r"[0-9a-f]{4,16}")
_PARAMETER = re.compile(r"\$\d")
_LONGEST_EXAMPLE = 60  # characters
_LEAST_SHARE_OF_TIME = 1e-3  # of a server's: less is not worth a build, nor a swap of what is there …
_LEAST_MS_PER_DAY = 10_000.0  # … unless it is ten seconds a day
_SHARE_FOR_SIZES = 0.2  # of the time that is left
_SHORTEST_SEARCH_S = 1.0  # whatever the time limit: with no search there would be no best so far
_LEAST_SHARE = 1 / 200  # of the tables: a budget below that buys hardly anything


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. Sizes in bytes, times in seconds; null: no limit, or not given."""

    target: str | None  # a DSN, or a capture
    store: Path
    database: str | None = None
    query: str | None = None  # one statement's SQL, or its fingerprint
    workload_file: Path | None = None  # statements with weights, as SQL: a file, or a folder of files
    workload_text: str | None = None  # the same, where it came from standard input
    budget_bytes: int | None = None
    max_indexes: int | None = None
    max_width: int = 3
    tolerance: float = 0.1
    with_removals: bool = True
    has_curve: bool = True  # what other budgets would buy is found out, too
    in_lab: bool = True
    max_plans: int = 200_000
    time_limit_s: float = 300.0
    measure_dsn: str | None = None
    measures_writes: bool = False
    measures_anyway: bool = False
    most_statements: int | None = None  # of those that the server counted: the ones that take the most time

    @property
    def is_captured(self) -> bool:
        """The statements are those that the server counted."""
        if self.workload_file is not None or self.workload_text is not None:
            return False
        return self.query is None or _FINGERPRINT.fullmatch(self.query.strip()) is not None

    @property
    def is_whole(self) -> bool:
        """They are all of them: what none of them needs may go."""
        return self.is_captured and self.query is None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The advice, with what its migration has to know, and its measurement where there was one."""

    advice: Advice
    standing: Standing
    planner_version: int  # major version of the PostgreSQL that planned
    measured: Measured | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """All that is taken from the evidence, so that the session can be closed while the planner works."""

    workload: Workload
    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]
    existing: tuple[Existing, ...]
    standing: Standing
    server: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _By:
    """Who plans and where (a null lab: on the server itself), until when, and who hears how far it is."""

    planner: BatchPlanner
    lab: Lab | None
    deadline: float  # of all that follows the capture, on the monotonic clock
    say: Say
    reached: frozenset[str] | None = None  # all that statements can reach; null: any relation


def advise(request: Request, say: Say = lambda _: None) -> Outcome:
    """The best set for the request. Raises QueryfitError; nothing is changed on the server that is asked about."""
    with _capture(request, say) as capture:
        with open_session(capture) as session:
            database = _database(session, capture, request.database)
            with _planner(capture, session, database, request, say) as by:
                say("reading the workload")
                workload = _workload(session, database, by, request)
                if by.lab is not None:
                    workload = _without_doubts(workload, by.planner, by.lab)
                asked = _asked(session, database, workload, by, request)
                advice = _selected(asked, by, request)
                measured = _measured(capture, advice, request, say) if request.measure_dsn is not None else None
                if measured is not None and measured.withdrawn:
                    advice = _without_withdrawn(asked, advice, measured, by, request)
                version = by.planner.version
        if by.lab is not None:
            advice = replace(advice, notes=(*advice.notes, *_lab_notes(by.lab)))
        if measured is not None:
            advice = replace(advice, measured=measured.ratios)
            if request.is_captured:
                remember(capture, database, advice, measured)
    return Outcome(advice, asked.standing, version, measured)


@contextmanager
def _capture(request: Request, say: Say) -> Iterator[Capture]:
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


def _workload(session: Session, database: str, by: _By, request: Request) -> Workload:
    """What is to be advised on. Raises QueryfitError where there is nothing of it."""
    from queryfit.advise.workload import workload_of_file, workload_of_session, workload_of_text  # noqa: PLC0415
    from queryfit.lab.parameters import Representatives  # noqa: PLC0415

    path = search_path_of(session)
    variants = Representatives.of(session, database, by.reached).variants
    if request.query is not None and not _FINGERPRINT.fullmatch(request.query.strip()):
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


def _asked(session: Session, database: str, workload: Workload, by: _By, request: Request) -> _Asked:
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
    return _Asked(
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


def _database(session: Session, capture: Capture, wanted: str | None) -> str:
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
    by: _By,
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


@contextmanager
def _planner(capture: Capture, session: Session, database: str, request: Request, say: Say) -> Iterator[_By]:
    """The lab with its planner, or HypoPG on the server."""
    deadline = time.monotonic() + request.time_limit_s  # building the lab counts
    if request.in_lab:
        from queryfit.lab.build import build  # noqa: PLC0415
        from queryfit.lab.part import part_of  # noqa: PLC0415
        from queryfit.lab.whatif import LabPlanner  # noqa: PLC0415

        part = part_of(session, database, _texts(session, database, request))
        with build(capture, database, say, session=session, part=part) as lab, LabPlanner(lab) as planner:
            yield _By(planner, lab, deadline, say, part.relations if part is not None else None)
        return
    from queryfit.lab.hypopg import HypoPlanner  # noqa: PLC0415

    with HypoPlanner(request.target) as planner:
        yield _By(planner, None, deadline, say)


def _texts(session: Session, database: str, request: Request) -> list[str]:
    """All that names what the statements reach: each statement, or files of them as they are."""
    from queryfit.lab.part import texts_of_session  # noqa: PLC0415

    if request.is_captured:
        return texts_of_session(session, database, (request.query or "").strip(), request.most_statements)
    if request.workload_file is None:
        return [request.workload_text or request.query or ""]
    place = request.workload_file
    files = place.glob("*.sql") if place.is_dir() else [place]
    with suppress(OSError):  # the workload says what is wrong with a file
        return [file.read_text(encoding="utf-8", errors="replace") for file in files]
    return []


def _without_doubts(workload: Workload, planner: BatchPlanner, lab: Lab) -> Workload:
    """Statements whose plans may be others for what the lab does not have are not judged."""
    from queryfit.advise.doubts import doubts_of  # noqa: PLC0415

    kept, skipped = [], list(workload.skipped)
    for statement in workload.statements:
        doubts = doubts_of(lab, planner, statement.queries)
        if doubts:
            more = f" and {len(doubts) - 1} more" if len(doubts) > 1 else ""
            reason = f"the lab lacks what its plan may rest on: {doubts[0].sentence}{more}"
            skipped.append(Skipped(statement.fingerprint, reason, "plan on the server with --hypopg"))
        else:
            kept.append(statement)
    return replace(workload, statements=tuple(kept), skipped=tuple(skipped))


def _lab_notes(lab: Lab) -> Iterator[str]:
    if lab.version != lab.captured_version:
        yield (
            f"planned by PostgreSQL {lab.version}, the server is {lab.captured_version}: plans may differ; "
            f"install PostgreSQL {lab.captured_version} to have its own planner"
        )
    if lab.not_carried:
        number = len(lab.not_carried)
        yield f"the lab lacks {number} {'thing' if number == 1 else 'things'} of the server: `queryfit lab` names them"


def _without_withdrawn(asked: _Asked, advice: Advice, measured: Measured, by: _By, request: Request) -> Advice:
    """What is left of the set after the clock has spoken, with what the planner says of that."""
    from queryfit.advise.selection.select import Limits, select  # noqa: PLC0415

    reasons = {one.name: f"measured: statement {one.fingerprint} takes {one.ratio:.2g} times as long with it"
               for one in measured.withdrawn}  # fmt: skip
    kept = [chosen.candidate for chosen in advice.chosen if chosen.name not in reasons]
    gone = [entry.existing for entry in advice.removals if entry.existing.name not in measured.restored]
    left = select(
        asked.workload,
        kept,
        gone,
        by.planner,
        budgets=(request.budget_bytes,),
        limits=Limits(planner_calls=request.max_plans, seconds=_SHORTEST_SEARCH_S, tolerance=request.tolerance),
        taken=asked.standing.taken,
    )
    against = [Rejected(one.candidate, reasons[one.name]) for one in advice.chosen if one.name in reasons]
    return replace(
        advice,
        chosen=tuple(_costed(chosen, asked.standing) for chosen in left.chosen),
        removals=left.removals,
        effects=left.effects,
        cost_after=left.cost_after,
        size_bytes=left.size_bytes,
        upkeep=left.upkeep,
        rejected=(*against, *advice.rejected),
    )


def _selected(asked: _Asked, by: _By, request: Request) -> Advice:
    from queryfit.advise.selection.select import Limits, select  # noqa: PLC0415

    advice = select(
        asked.workload,
        asked.candidates,
        asked.existing,
        by.planner,
        budgets=(request.budget_bytes, *_other_budgets(asked.standing, request)),
        limits=Limits(
            planner_calls=request.max_plans,
            seconds=max(_SHORTEST_SEARCH_S, by.deadline - time.monotonic()),
            indexes=request.max_indexes,
            tolerance=request.tolerance,
            least_share=_LEAST_SHARE_OF_TIME if request.is_whole else 0.0,
            least_saving=_LEAST_MS_PER_DAY,
        ),
        taken=asked.standing.taken,
        progress=lambda step: by.say(_told(step)),
    )
    return replace(
        advice,
        chosen=tuple(_costed(chosen, asked.standing) for chosen in advice.chosen),
        rejected=(*advice.rejected, *asked.rejected),
        notes=(*advice.notes, *asked.notes),
        server=asked.server,
        planner="lab" if request.in_lab else "hypopg",
    )


def _other_budgets(there: Standing, request: Request) -> list[int | None]:
    """Round budgets for the curve, from what hardly buys anything to all; none for a single statement."""
    if request.query is not None or request.max_indexes == 0 or not request.has_curve:
        return []
    tables = sum(table.size_bytes for table in there.tables.values() if not table.is_partitioned)
    most = request.budget_bytes * 4 if request.budget_bytes is not None else tables
    sizes = [step * 10**power * unit for unit in (_MB, _GB) for power in range(3) for step in _STEPS]
    within = [size for size in sizes if tables * _LEAST_SHARE <= size <= min(most, tables)]
    if (asked := request.budget_bytes) is not None:
        within = [size for size in within if abs(size - asked) > asked * _TOO_NEAR]
    return [*within[-_MOST_BUDGETS:], None]


def _costed(chosen: Chosen, there: Standing) -> Chosen:
    size, index = chosen.candidate.size, chosen.candidate.index
    table_bytes = there.size_bytes(index.relation)
    if size is None or table_bytes is None:
        return chosen
    return replace(
        chosen,
        build_ms=build_ms(table_bytes, size, index.access_method),
        disk_bytes=disk_bytes(size, index.access_method),
    )


def _told(step: Searched) -> str:
    text = f"{step.stage}: {step.planner_calls:,} plans in {words.duration(step.seconds * 1000)}"
    gap = distance(step.cost, step.bound) if step.cost and step.bound else 1.0
    return f"{text}, {words.percent(gap)} from the best possible" if gap < 1 else text


def _measured(capture: Capture, advice: Advice, request: Request, say: Say) -> Measured:
    """Run the workload without and with the set where the person said. Raises QueryfitError."""
    from queryfit.advise.measure.measure import measure  # noqa: PLC0415
    from queryfit.advise.measure.measured import Options, trials_of  # noqa: PLC0415
    from queryfit.lab.parameters import Representatives  # noqa: PLC0415

    if not advice.chosen and not advice.removals:
        raise QueryfitError("there is nothing to measure: no index was chosen", hint="leave out --measure")
    with open_session(capture) as session:
        trials = trials_of(advice, Representatives.of(session, advice.workload.database).example)
    replaced = {
        chosen.name: [
            entry.existing.name for entry in advice.removals if entry.existing.name in chosen.candidate.replaces
        ]
        for chosen in advice.chosen
    }
    return measure(
        request.measure_dsn,
        [(chosen.name, chosen.candidate.index) for chosen in advice.chosen],
        [entry.existing.name for entry in advice.removals],
        trials,
        Options(
            size_bytes=advice.size_bytes,
            is_anyway=request.measures_anyway,
            is_writing=request.measures_writes,
            most_slower=request.tolerance,
            tell=say,
        ),
        replaced=replaced,
    )
