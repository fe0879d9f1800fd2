"""Many plans at once: what is asked, the texts made plannable, the work shared between connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar

from queryfit.capture.connect_errors import QueryError
from queryfit.lab.explain import reason
from queryfit.lab.planner import Index, NotPlannedError, Planned, Planner, Query

if TYPE_CHECKING:
    from queryfit.lab.texts import Plannable

Answer = Planned | NotPlannedError
Worker = TypeVar("Worker")


@dataclass(frozen=True, slots=True)
class Job:
    """A query to be planned with these candidates there and these existing indexes (schema.name) not."""

    query: Query
    visible: frozenset[Index] = frozenset()
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Task:
    """A job whose text may be planned. `relations`: what it can reach, None for anything; `at`: its place."""

    at: int
    job: Job
    text: Plannable
    relations: frozenset[str] | None


class Shown:
    """The candidates of a set by table: of thousands a query needs a few."""

    def __init__(self, indexes: frozenset[Index]) -> None:
        self._all = indexes
        self._by_relation: dict[str, list[Index]] = {}
        for index in indexes:
            self._by_relation.setdefault(index.relation, []).append(index)

    def on(self, relations: frozenset[str] | None) -> Collection[Index]:
        """Those on tables that a query can reach; all where it may be any table."""
        if relations is None:
            return self._all
        if len(relations) > len(self._by_relation):
            relations = relations & self._by_relation.keys()
        return [index for relation in relations for index in self._by_relation.get(relation, ())]


class BatchPlanner(Planner, Protocol):
    """A planner that takes jobs with sets of their own, and says what a query reaches."""

    def plan_each(self, jobs: Sequence[Job]) -> list[Answer]:
        """The answers in the order of the jobs."""

    def relations(self, query: Query) -> frozenset[str] | None:
        """schema.name of the tables whose indexes may change its plan; None when it may be any.

        Raises NotPlannedError.
        """

    def plan(self, query: Query, visible: Collection[Index] = (), hidden: Collection[str] = ()) -> Planned:
        """See `Planner.plan`."""
        answer = self.plan_each(as_jobs([query], visible, hidden))[0]
        if isinstance(answer, NotPlannedError):
            raise answer
        return answer

    def plan_all(
        self, queries: Sequence[Query], visible: Collection[Index] = (), hidden: Collection[str] = ()
    ) -> dict[str, Answer]:
        """See `Planner.plan_all`."""
        answers = self.plan_each(as_jobs(queries, visible, hidden))
        return {query.key: answer for query, answer in zip(queries, answers, strict=True)}


def as_jobs(queries: Sequence[Query], visible: Collection[Index], hidden: Collection[str]) -> list[Job]:
    """One job a query, all under one set."""
    indexes, names = frozenset(visible), frozenset(hidden)
    return [Job(query, indexes, names) for query in queries]


def distribute(
    workers: Sequence[Worker],
    pool: ThreadPoolExecutor | None,
    tasks: Sequence[Task],
    plan: Callable[[Worker, deque[Task]], list[tuple[int, Answer]]],
) -> list[tuple[int, Answer]]:
    """Plan tasks with several workers; `plan` takes tasks of one set from the left until it wants another transaction.

    Tasks of one set may be shared by workers: each makes the set appear for itself.
    """
    groups: dict[tuple[frozenset[Index], frozenset[str]], deque[Task]] = {}
    for task in tasks:
        groups.setdefault((task.job.visible, task.job.hidden), deque()).append(task)
    work = _Work(deque(groups.values()))

    def labour(worker: Worker) -> list[tuple[int, Answer]]:
        answers: list[tuple[int, Answer]] = []
        while (waiting := work.first()) is not None:
            answers += plan(worker, waiting)
        return answers

    if pool is None or len(tasks) == 1:
        return labour(workers[0])
    futures = [pool.submit(labour, worker) for worker in workers]
    try:
        return [answer for future in futures for answer in future.result()]
    except BaseException:
        work.give_up()  # Ctrl-C, or a lost server: the others end with the plan they are at
        raise


@dataclass(slots=True)
class _Work:
    groups: deque[deque[Task]]
    lock: Lock = field(default_factory=Lock)

    def give_up(self) -> None:
        """Leave the rest undone."""
        with self.lock:
            for group in self.groups:
                group.clear()
            self.groups.clear()

    def first(self) -> deque[Task] | None:
        """The first group that has tasks left; it may be worked on by several."""
        with self.lock:
            while self.groups and not self.groups[0]:
                self.groups.popleft()
            return self.groups[0] if self.groups else None


def take(waiting: deque[Task]) -> Task | None:
    """The next task, unless another worker has taken the last."""
    try:
        return waiting.popleft()
    except IndexError:
        return None


def refused(waiting: deque[Task], error: NotPlannedError | QueryError) -> list[tuple[int, Answer]]:
    """All that wait for a set that cannot be made, with the reason."""
    answer = error if isinstance(error, NotPlannedError) else NotPlannedError(reason(error), hint=error.hint)
    answers: list[tuple[int, Answer]] = []
    while (task := take(waiting)) is not None:
        answers.append((task.at, answer))
    return answers
