"""What-if on a live server with the extension HypoPG: indexes that one backend imagines, forgotten at once.

HypoPG's indexes belong to the backend, outlive a rollback and, behind a transaction pooler, would reach the next
client. So each transaction makes those that it needs (some 20 µs each), explains, and resets before it ends.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Self

from queryfit.capture.connect import IDLE_TIMEOUT_MS, LOCK_TIMEOUT_MS, QueryError, Reader, connect
from queryfit.capture.guard import Guard
from queryfit.errors import QueryfitError
from queryfit.lab.explain import Explainer
from queryfit.lab.jobs import Answer, BatchPlanner, Job, Shown, Task, distribute, refused, take
from queryfit.lab.planner import Index, NotPlannedError, Planned, Query, Size
from queryfit.lab.relations import Relations
from queryfit.lab.session import Session, text_array
from queryfit.lab.texts import Plannable, plannable
from queryfit.lab.there import There

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Collection, Iterator, Mapping, Sequence

STATEMENT_MS = 3_000
TRANSACTION_S = 1.0  # a longer one would hold back what VACUUM may remove
GUARD_S = 60.0  # the catalog that the guard has judged by may have changed after that
FIRST_HIDING = (1, 4)
# Each EXPLAIN would take an entry, and push another one out.
UNCOUNTED: Mapping[str, str] = {"pg_stat_statements.track": "none"}

EXTENSION = """
select quote_ident(n.nspname), e.extversion
from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'hypopg'
"""
CREATE = """
select t.number, h.indexrelid, h.indexname, {schema}.hypopg_relation_size(h.indexrelid)
from pg_catalog.unnest($1::text[]) with ordinality as t(statement, number),
    lateral {schema}.hypopg_create_index(t.statement) as h
order by t.number
"""


@dataclass(slots=True)
class _Worker:
    """A connection with what is remembered about it."""

    reader: Reader
    session: Session = field(init=False)
    explainer: Explainer = field(init=False)

    def __post_init__(self) -> None:
        self.session = Session(self.reader.connection)
        self.explainer = Explainer(self.session)


class HypoPlanner(BatchPlanner):
    """A `Planner` over HypoPG on the server at `dsn`, read-only. Use as a context manager.

    Every text must pass the guard before it is planned, but for `is_trusted`: a server whose functions and types are
    all one's own, such as a benchmark's. `workers` connections plan at a time. `settings` hold for every plan.

    HypoPG costs its indexes by sizes of its own, whatever `add` is told; it knows neither GIN, GiST, SP-GiST nor
    deduplication. Raises QueryfitError where the server does not have the extension.
    """

    def __init__(
        self,
        dsn: str | None,
        *,
        is_trusted: bool = False,
        workers: int = 1,
        timeout_ms: int = STATEMENT_MS,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._is_trusted = is_trusted
        self._timeout_ms = timeout_ms
        self._settings = dict(settings or {})
        self._guard: tuple[float, Guard] | None = None
        self._verdicts: dict[Query, str | None] = {}  # of this guard
        self._texts: dict[Query, Plannable | NotPlannedError] = {}
        self._reach: dict[Query, frozenset[str] | None] = {}
        self._statements: dict[Index, tuple[str, ...]] = {}
        self._calls = 0
        self._workers: list[_Worker] = []
        self._pool = ThreadPoolExecutor(workers) if workers > 1 else None
        try:
            self._workers += [_Worker(connect(dsn)) for _ in range(workers)]
            self._schema, self._can_hide = self._extension()
            if self._may(UNCOUNTED):
                self._settings = {**UNCOUNTED, **self._settings}
            self._relations = Relations(self._first.session)
            self._there = There(self._first.session)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        for worker in self._workers:
            worker.reader.close()

    @property
    def version(self) -> int:
        return self._first.session.version_number // 10_000

    @property
    def calls(self) -> int:
        return self._calls

    @property
    def can_hide(self) -> bool:
        """Whether existing indexes can be hidden (HypoPG 1.4 and later)."""
        return self._can_hide

    @property
    def _first(self) -> _Worker:
        return self._workers[0]

    def _extension(self) -> tuple[str, bool]:
        rows = self._first.session.run(EXTENSION)
        if not rows:
            raise QueryfitError(
                f"the database {self._first.reader.database} does not have the extension hypopg",
                hint="let a superuser run: create extension hypopg; or plan in the lab, which needs no extension",
            )
        schema, version = (str(value, "utf-8") for value in rows[0] if value is not None)
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        return schema, numbers >= FIRST_HIDING

    def _may(self, settings: Mapping[str, str]) -> bool:
        """Whether this role may set these."""
        session = self._first.session
        session.run("begin read only")
        try:
            session.set_local(settings)
        except QueryError:
            return False
        finally:
            session.run("rollback")
        return True

    # -- candidates

    def add(self, sizes: Mapping[Index, Size | None]) -> dict[Index, Size | NotPlannedError]:
        """See `Planner.add`. A size that is given counts for budgets; HypoPG's costs stay those of its own."""
        answers: dict[Index, Size | NotPlannedError] = {}
        waiting: list[Index] = []
        for index in sizes:
            try:
                self._check(index)
                self._statements[index] = tuple(self._creations(index))
                waiting.append(index)
            except NotPlannedError as error:
                answers[index] = error
        rows: dict[tuple[str, str | None], float] = {}
        for index, answer in self._sized(waiting).items():
            given = sizes[index]
            if isinstance(answer, NotPlannedError):
                self._statements.pop(index, None)
                answers[index] = answer
            elif given is not None:
                answers[index] = given
            else:
                place = (index.relation, index.predicate)
                if place not in rows:
                    rows[place] = self._rows(*place)
                answers[index] = Size(answer, rows[place], source="hypopg")
        return {index: answers[index] for index in sizes}

    def _check(self, index: Index) -> None:
        """Let the guard judge what HypoPG would parse, fold and estimate."""
        keys = ", ".join(key.expression for key in index.keys)
        where = f" where {index.predicate}" if index.predicate else ""
        self._judged(Query("index", f"select {keys} from {index.relation}{where}"))

    def _creations(self, index: Index) -> Iterator[str]:
        for table in self._relations.tables(index.relation):
            yield replace(index, relation=table).create()

    def _sized(self, indexes: Sequence[Index]) -> dict[Index, int | NotPlannedError]:
        """Bytes of each index by HypoPG's estimate; halves what it refuses until those at fault stand alone."""
        if not indexes:
            return {}
        statements = [(index, statement) for index in indexes for statement in self._statements[index]]
        try:
            with self._transaction(self._first):
                made = self._create(self._first, [statement for _, statement in statements])
        except QueryError as error:
            if len(indexes) == 1:
                return {indexes[0]: NotPlannedError(f"HypoPG does not take it: {error.message}", hint=error.hint)}
            middle = len(indexes) // 2
            return {**self._sized(indexes[:middle]), **self._sized(indexes[middle:])}
        sizes: dict[Index, int | NotPlannedError] = dict.fromkeys(indexes, 0)
        total: dict[Index, int] = dict.fromkeys(indexes, 0)
        for (index, _), (_, size) in zip(statements, made, strict=True):
            total[index] += size
        sizes.update(total)
        return sizes

    def _create(self, worker: _Worker, statements: Sequence[str]) -> list[tuple[str, int]]:
        """Imagine indexes in the open transaction: name and bytes of each."""
        if not statements:
            return []
        rows = worker.session.run(CREATE.format(schema=self._schema), [text_array(statements)])
        if len(rows) != len(statements):
            raise QueryError("HypoPG has not taken all of the indexes", sqlstate=None)
        return [(str(row[2] or b"", "utf-8"), int(row[3] or 0)) for row in rows]

    def _rows(self, relation: str, predicate: str | None) -> float:
        """Rows that an index holds, as the planner estimates them; 0 where it gives no plan."""
        where = f" where {predicate}" if predicate else ""
        query = Query("rows", f"select from {relation}{where}")
        answer = self.plan_all([query])[query.key]
        if isinstance(answer, NotPlannedError):
            return 0.0
        return float(answer.document["Plan Rows"])

    # -- plans

    def plan_each(self, jobs: Sequence[Job]) -> list[Answer]:
        """See `BatchPlanner.plan_each`."""
        answers: dict[int, Answer] = {}
        tasks: list[Task] = []
        for at, job in enumerate(jobs):
            try:
                text = self._judged(job.query)
                tasks.append(Task(at, job, text, self._reached(job.query, text)))
            except NotPlannedError as error:
                answers[at] = error
        self._calls += len(tasks)
        answers.update(distribute(self._workers, self._pool, tasks, self._plan_group))
        return [answers[at] for at in range(len(jobs))]

    def relations(self, query: Query) -> frozenset[str] | None:
        """See `BatchPlanner.relations`."""
        return self._reached(query, self._judged(query))

    def _plan_group(self, worker: _Worker, waiting: deque[Task]) -> list[tuple[int, Answer]]:
        """Plan tasks of one set in one short transaction; those that are left wait for the next."""
        answers: list[tuple[int, Answer]] = []
        tasks = list(waiting)
        if not tasks:
            return answers
        visible, hidden = tasks[0].job.visible, tasks[0].job.hidden
        try:
            with self._transaction(worker):
                shown = Shown(visible)
                needed = {index for task in tasks for index in shown.on(task.relations)}
                names = self._appear(worker, needed)
                self._hide(worker, hidden)
                end = time.monotonic() + TRANSACTION_S
                while time.monotonic() < end and (task := take(waiting)) is not None:
                    try:
                        plan = worker.explainer.explain(task.job.query, task.text)
                    except NotPlannedError as error:
                        answers.append((task.at, error))
                        continue
                    candidates = frozenset(names[name] for _, name in plan.used if name in names)
                    existing = frozenset(self._there.name(index) for index in plan.used if index[1] not in names)
                    answers.append((task.at, Planned(plan.cost, candidates, existing, plan.document)))
        except (NotPlannedError, QueryError) as error:
            answers += refused(waiting, error)
        return answers

    def _appear(self, worker: _Worker, visible: Collection[Index]) -> dict[str, Index]:
        unknown = next((index for index in visible if index not in self._statements), None)
        if unknown is not None:
            raise NotPlannedError(f"the index {unknown.subject} is not known to the planner, or it refused it")
        # in one order, so that of two indexes that cost the same always the same one is taken
        statements = sorted(
            ((statement, index) for index in visible for statement in self._statements[index]), key=itemgetter(0)
        )
        made = self._create(worker, [statement for statement, _ in statements])
        return {name: index for (_, index), (name, _) in zip(statements, made, strict=True)}

    def _hide(self, worker: _Worker, hidden: frozenset[str]) -> None:
        if hidden and not self._can_hide:
            raise NotPlannedError(
                "this version of HypoPG cannot hide an existing index",
                hint="update the extension to 1.4 or later, or plan in the lab",
            )
        for oid in self._there.hideable(hidden):
            worker.session.run(f"select {self._schema}.hypopg_hide_index($1::oid)", [str(oid)])

    def _judged(self, query: Query) -> Plannable:
        """The text of a query, if the guard lets the server plan it."""
        text = self._texts.get(query)
        if text is None:
            try:
                text = plannable(query, self._first.session.version_number)
            except NotPlannedError as error:
                text = error
            self._texts[query] = text
        if isinstance(text, NotPlannedError):
            raise text
        if not self._is_trusted:
            guard = self._current_guard()
            if query not in self._verdicts:
                self._verdicts[query] = guard.verdict(text.text, query.search_path)
            refusal = self._verdicts[query]
            if refusal is not None:
                raise NotPlannedError(f"not planned on the live server: {refusal}")
        return text

    def _reached(self, query: Query, text: Plannable) -> frozenset[str] | None:
        if query not in self._reach:
            self._reach[query] = self._relations.reached(text.statement, query.search_path)
        return self._reach[query]

    def _current_guard(self) -> Guard:
        now = time.monotonic()
        if self._guard is None or now - self._guard[0] > GUARD_S:
            self._guard = (now, Guard.build(self._first.reader))
            self._verdicts = {}
        return self._guard[1]

    @contextmanager
    def _transaction(self, worker: _Worker) -> Iterator[None]:
        """A short transaction that leaves no index, setting or prepared statement behind, however it ends."""
        session = worker.session
        session.run("begin read only")
        try:
            session.set_local(
                {
                    "statement_timeout": str(self._timeout_ms),
                    "lock_timeout": str(LOCK_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT_MS),
                    "search_path": "pg_catalog, pg_temp",
                    "standard_conforming_strings": "on",
                    **({"application_name": "queryfit"} if worker.reader.names_itself else {}),
                    **self._settings,
                }
            )
            worker.explainer.begin()
            self._reset(worker)  # behind a pooler another client may have left some
            yield
        except BaseException:
            if not worker.reader.connection.closed and session.is_in_transaction:
                worker.explainer.recover()
                self._reset(worker)
                session.run("rollback")
            raise
        self._reset(worker)
        session.run("commit")

    def _reset(self, worker: _Worker) -> None:
        worker.session.run(f"select {self._schema}.hypopg_reset()")
        if self._can_hide:
            worker.session.run(f"select {self._schema}.hypopg_unhide_all_indexes()")
