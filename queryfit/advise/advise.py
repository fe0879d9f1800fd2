"""The whole way of `queryfit advise`: capture, workload, candidates with sizes, planner, the best set, its proof.

What is said here is only what follows what; each step is a room of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from queryfit import words
from queryfit.advise.asking import asked_of, captured, database_of, workload_of
from queryfit.advise.build_cost import build_ms, disk_bytes
from queryfit.advise.migration_facts import Standing
from queryfit.advise.model import Advice, Chosen, Rejected, Skipped, Workload
from queryfit.advise.remembered import remember
from queryfit.advise.request import Asked, By, Request, Say
from queryfit.advise.summary import distance
from queryfit.errors import QueryfitError
from queryfit.evidence.session import Session, open_session
from queryfit.evidence.store import Capture

if TYPE_CHECKING:
    from queryfit.advise.measure.measured import Measured
    from queryfit.advise.selection.select import Progress as Searched
    from queryfit.lab.build import Lab
    from queryfit.lab.jobs import BatchPlanner

_MB, _GB = 1 << 20, 1 << 30
_TOO_NEAR = 0.1  # to the budget that is asked for
_STEPS = (1, 2, 5)
_MOST_BUDGETS = 8  # on the curve, beside the one that is asked for
_LEAST_SHARE_OF_TIME = 1e-3  # of a server's: less is not worth a build, nor a swap of what is there …
_LEAST_MS_PER_DAY = 10_000.0  # … unless it is ten seconds a day
_SHORTEST_SEARCH_S = 1.0  # whatever the time limit: with no search there would be no best so far
_LEAST_SHARE = 1 / 200  # of the tables: a budget below that buys hardly anything


@dataclass(frozen=True, slots=True)
class Outcome:
    """The advice, with what its migration has to know, and its measurement where there was one."""

    advice: Advice
    standing: Standing
    planner_version: int  # major version of the PostgreSQL that planned
    measured: Measured | None = None


def advise(request: Request, say: Say = lambda _: None) -> Outcome:
    """The best set for the request. Raises QueryfitError; nothing is changed on the server that is asked about."""
    with captured(request, say) as capture:
        with open_session(capture) as session:
            database = database_of(session, capture, request.database)
            with _planner(capture, session, database, request, say) as by:
                say("reading the workload")
                workload = workload_of(session, database, by, request)
                if by.lab is not None:
                    workload = _without_doubts(workload, by.planner, by.lab)
                asked = asked_of(session, database, workload, by, request)
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
def _planner(capture: Capture, session: Session, database: str, request: Request, say: Say) -> Iterator[By]:
    """The lab with its planner, or HypoPG on the server."""
    deadline = time.monotonic() + request.time_limit_s  # building the lab counts
    if request.in_lab:
        from queryfit.lab.build import build  # noqa: PLC0415
        from queryfit.lab.part import part_of  # noqa: PLC0415
        from queryfit.lab.whatif import LabPlanner  # noqa: PLC0415

        part = part_of(session, database, _texts(session, database, request))
        with build(capture, database, say, session=session, part=part) as lab, LabPlanner(lab) as planner:
            yield By(planner, lab, deadline, say, part.relations if part is not None else None)
        return
    from queryfit.lab.hypopg import HypoPlanner  # noqa: PLC0415

    with HypoPlanner(request.target) as planner:
        yield By(planner, None, deadline, say)


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


def _without_withdrawn(asked: Asked, advice: Advice, measured: Measured, by: By, request: Request) -> Advice:
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


def _selected(asked: Asked, by: By, request: Request) -> Advice:
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
