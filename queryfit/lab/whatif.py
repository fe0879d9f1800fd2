"""What-if in the lab: candidates are made for real on empty tables, given a size, and shown or hidden by pg_index.

Each connection has candidates of its own, and shows them in a transaction that it rolls back. Only what differs from
the set before is switched, and only on tables that the statement can reach.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Self, TypeVar

import psycopg

from queryfit.capture.connect_errors import QueryError
from queryfit.errors import QueryfitError
from queryfit.lab.index_estimate import Estimator
from queryfit.lab.jobs import Answer, BatchPlanner, Job, Shown, Task, distribute, refused, take
from queryfit.lab.planner import Index, NotPlannedError, Planned, Query, Size
from queryfit.lab.relations import Relations
from queryfit.lab.schema import PLACEHOLDER_SERVER
from queryfit.lab.session import Session
from queryfit.lab.stage import FORGET, MEMBERSHIP, TOGGLE, Stage
from queryfit.lab.table_facts import unquoted
from queryfit.lab.texts import Plannable, plannable, with_values
from queryfit.lab.there import There
from queryfit.sql.grammar import ast
from queryfit.sql.tree import walk

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Mapping, Sequence

    from queryfit.lab.build import Lab

WORKERS = 2
UNDEFINED_TABLE = "42P01"
UNDEFINED = {"42883", "42704", "3F000"}  # a function or operator, a type, a schema
ON_SERVER = "plan on the server with --hypopg"
Result = TypeVar("Result")


class LabPlanner(BatchPlanner):
    """A `Planner` over a lab. Use as a context manager, inside the lab's own.

    Unique candidates are made as ordinary indexes, since nothing in the lab proves them unique, but for
    `keeps_unique`. `settings` hold for every plan, over those that were captured. `workers` connections plan at a
    time; sets that hide existing indexes are planned by one of them alone, because they share the rows that say so.
    """

    def __init__(
        self,
        lab: Lab,
        *,
        workers: int = WORKERS,
        settings: Mapping[str, str] | None = None,
        keeps_unique: bool = False,
    ) -> None:
        self._lab = lab
        self._keeps_unique = keeps_unique
        self._texts: dict[Query, tuple[Plannable, frozenset[str] | None] | NotPlannedError] = {}
        self._read_texts: dict[tuple[str, tuple[str, ...]], tuple[Plannable, frozenset[str] | None]] = {}
        self._missing = {
            unquoted(item.name.partition("(")[0].rpartition(".")[2]): item
            for item in lab.not_carried
            if item.kind == "function" and item.changes_plans
        }
        self._sizes: dict[Index, Size] = {}
        self._rows: dict[tuple[str, str | None], float] = {}
        self._calls = 0
        self._stages: list[Stage] = []
        self._pool = ThreadPoolExecutor(workers) if workers > 1 else None
        try:
            with lab.connect_superuser() as connection:
                for statement in (TOGGLE, MEMBERSHIP):
                    connection.execute(statement.encode())
                there = There(Session(connection), is_part=lab.is_part)
                self._relations = Relations(Session(connection))
            prefix = f"queryfit_{secrets.token_hex(3)}"  # another planner may have candidates in this lab
            for number in range(workers):
                self._stages.append(Stage(lab, f"{prefix}_{number}", there, settings or {}))
            self._estimator = Estimator(self._stages[0].session)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the candidates and give up the connections; the lab is as it was."""
        if self._pool is not None:
            self._pool.shutdown()
        names: list[str] = []
        for stage in self._stages:
            with suppress(QueryfitError):  # what cannot be dropped now is when the lab is opened again
                names += stage.close()
        self._stages = []
        if names:
            with suppress(psycopg.Error), self._lab.connect_superuser() as connection:
                connection.execute(FORGET.encode(), [names])

    @property
    def version(self) -> int:
        return self._lab.version

    @property
    def calls(self) -> int:
        return self._calls

    # -- candidates

    def add(self, sizes: Mapping[Index, Size | None]) -> dict[Index, Size | NotPlannedError]:
        """See `Planner.add`. Without a size, one is estimated from widths and rows in the statistics."""
        targets = {index: self._relations.tables(index.relation) for index in sizes if index not in self._sizes}
        refusals: dict[Index, NotPlannedError] = {}
        for stage in self._stages:
            stage.leave()
        try:
            with self._lab.shrunk(sorted({*(index.relation for index in targets), *chain(*targets.values())})):
                for stage_refusals in self._on_all(lambda stage: stage.make(targets, keeps_unique=self._keeps_unique)):
                    refusals.update(stage_refusals)
            for stage in self._stages:
                stage.forget(refusals)
            answers = {index: refusals.get(index) or size or self._sizes.get(index) for index, size in sizes.items()}
            estimated = {index: self._estimated(index) for index, answer in answers.items() if answer is None}
            counted = {
                index: size
                for index, size in {**answers, **estimated}.items()
                if isinstance(size, Size) and size != self._sizes.get(index)
            }
            self._on_all(lambda stage: stage.size(counted))
        finally:
            for stage in self._stages:
                stage.begin()
        self._sizes.update(counted)
        return {index: answer or self._sizes[index] for index, answer in answers.items()}

    def _on_all(self, work: Callable[[Stage], Result]) -> list[Result]:
        """Do the same on every stage, at the same time where there are threads."""
        if self._pool is None:
            return [work(stage) for stage in self._stages]
        return [future.result() for future in [self._pool.submit(work, stage) for stage in self._stages]]

    def _estimated(self, index: Index) -> Size:
        """A size from widths and rows in the statistics."""
        place = (index.relation, index.predicate)
        if place not in self._rows:
            self._rows[place] = self._stages[0].rows(*place)
        return self._estimator.size(index, self._rows[place])

    # -- plans

    def plan_each(self, jobs: Sequence[Job]) -> list[Answer]:
        """See `BatchPlanner.plan_each`."""
        answers: dict[int, Answer] = {}
        shared: list[Task] = []
        alone: list[Task] = []
        for at, job in enumerate(jobs):
            known = self._known(job.query)
            if isinstance(known, NotPlannedError):
                answers[at] = known
            else:
                (alone if job.hidden else shared).append(Task(at, job, *known))
        self._calls += len(shared) + len(alone)
        answers.update(distribute(self._stages, self._pool, shared, self._plan_group))
        if alone:
            answers.update(distribute(self._stages[:1], None, alone, self._plan_group))
            self._stages[0].reset()  # gives the rows of existing indexes free for other connections
        return [answers[at] for at in range(len(jobs))]

    def relations(self, query: Query) -> frozenset[str] | None:
        """See `BatchPlanner.relations`."""
        known = self._known(query)
        if isinstance(known, NotPlannedError):
            raise known
        return known[1]

    def _known(self, query: Query) -> tuple[Plannable, frozenset[str] | None] | NotPlannedError:
        known = self._texts.get(query)
        if known is None:
            try:
                known = self._read_before(query) or self._read(query)
            except NotPlannedError as error:
                known = error
            self._texts[query] = known
        return known

    def _read_before(self, query: Query) -> tuple[Plannable, frozenset[str] | None] | None:
        """From another variant of the statement: values change neither its tree nor what it reaches."""
        text, reached = self._read_texts.get((query.text, query.search_path), (None, None))
        return None if text is None else (with_values(text, query), reached)

    def _read(self, query: Query) -> tuple[Plannable, frozenset[str] | None]:
        text = plannable(query, self._stages[0].session.version_number)
        self._check_functions(text)
        known = (text, self._relations.reached(text.statement, query.search_path))
        self._read_texts[query.text, query.search_path] = known
        return known

    def _check_functions(self, text: Plannable) -> None:
        """Refuse a statement that calls a function whose stand-in in the lab would change its plan."""
        if not self._missing:
            return
        for node in walk(text.statement):
            if isinstance(node, ast.FuncCall) and (item := self._missing.get(node.funcname[-1].sval)) is not None:
                raise NotPlannedError(f"the lab lacks what its plan may rest on: {item.sentence}")

    def _plan_group(self, stage: Stage, waiting: deque[Task]) -> list[tuple[int, Answer]]:
        answers: list[tuple[int, Answer]] = []
        candidates: Shown | None = None
        try:
            while (task := take(waiting)) is not None:
                try:
                    candidates = candidates or Shown(task.job.visible)
                    stage.set_up(task, candidates)
                except NotPlannedError as refusal:
                    answers.append((task.at, refusal))
                    continue
                try:
                    plan = stage.explainer.explain(task.job.query, task.text)
                except NotPlannedError as refusal:
                    said = _of_the_lab(refusal)
                    if not isinstance(said.__cause__, QueryError) or not said.__cause__.is_timeout:
                        self._texts[task.job.query] = said  # nothing here changes but indexes: it would fail again
                    answers.append((task.at, said))
                else:
                    answers.append((task.at, Planned(plan.cost, *stage.named(plan.used), plan.document)))
        except QueryError as error:
            stage.reset()
            answers += refused(waiting, error)
        return answers


def _of_the_lab(error: NotPlannedError) -> NotPlannedError:
    """What the lab's server says of objects that only production has, in words that do not blame the statement."""
    cause = error.__cause__
    if not isinstance(cause, QueryError):
        return error
    if PLACEHOLDER_SERVER in cause.message:
        said = NotPlannedError("it reads a foreign table, and the lab has no foreign server", hint=ON_SERVER)
    elif cause.sqlstate == UNDEFINED_TABLE:
        hint = "it is temporary, gone since, or spelt otherwise; where the server has it, --hypopg plans there"
        said = NotPlannedError(f"the capture holds no such table: {cause.message}", hint=hint)
    elif cause.sqlstate in UNDEFINED:
        said = NotPlannedError(
            f"the lab does not plan it: {cause.message}", hint=f"where the server has it, {ON_SERVER}"
        )
    else:
        return error
    said.__cause__ = cause
    return said
