"""Plans kept: by statement and the indexes that matter to it, and by what a known plan says about smaller sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queryfit.lab.jobs import Answer, BatchPlanner, Job, as_jobs
from queryfit.lab.planner import Index, NotPlannedError, Planned, Query, Size

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_Set = tuple[frozenset[Index], frozenset[str]]


@dataclass(slots=True)
class _Known:
    """What is known about one query: answers by set, and the plans that may answer for others."""

    relations: frozenset[str] | None
    exact: dict[_Set, Answer] = field(default_factory=dict)
    plans: list[tuple[_Set, Planned]] = field(default_factory=list)

    def restrict(self, job: Job) -> _Set:
        """The set without the candidates that the query cannot use."""
        if self.relations is None:
            return job.visible, job.hidden
        return frozenset(index for index in job.visible if index.relation in self.relations), job.hidden

    def find(self, wanted: _Set) -> Answer | None:
        """An answer for a set, if one follows from those known.

        A plan made with more indexes there is the cheapest for every smaller set that still holds all that it uses.
        """
        found = self.exact.get(wanted)
        if found is not None:
            return found
        visible, hidden = wanted
        for (shown, gone), plan in self.plans:
            is_part = visible <= shown and gone <= hidden
            if is_part and plan.candidates <= visible and not plan.existing & hidden:
                self.exact[wanted] = plan
                return plan
        return None

    def keep(self, wanted: _Set, answer: Answer) -> None:
        self.exact[wanted] = answer
        if isinstance(answer, Planned):
            self.plans.append((wanted, answer))


class PlanCache:
    """A planner that asks another one only what does not follow from earlier answers. See `Planner`.

    `hits` counts the plans that it gave without asking; `calls` those that were made.
    """

    def __init__(self, planner: BatchPlanner) -> None:
        self._planner = planner
        self._known: dict[Query, _Known | NotPlannedError] = {}
        self.hits = 0

    @property
    def version(self) -> int:
        return self._planner.version

    @property
    def calls(self) -> int:
        return self._planner.calls

    def add(self, sizes: Mapping[Index, Size | None]) -> dict[Index, Size | NotPlannedError]:
        """See `Planner.add`; plans that could see an index whose size is said anew are forgotten."""
        for known in self._known.values():
            if not isinstance(known, NotPlannedError):
                known.exact = {wanted: one for wanted, one in known.exact.items() if sizes.keys().isdisjoint(wanted[0])}
                known.plans = [pair for pair in known.plans if sizes.keys().isdisjoint(pair[0][0])]
        return self._planner.add(sizes)

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

    def plan_each(self, jobs: Sequence[Job]) -> list[Answer]:
        """See `BatchPlanner.plan_each`; what is asked twice among the jobs is planned once."""
        answers: dict[int, Answer] = {}
        asked: dict[tuple[Query, _Set], list[int]] = {}
        for at, job in enumerate(jobs):
            known = self._of(job.query)
            if isinstance(known, NotPlannedError):
                answers[at] = known
                continue
            wanted = known.restrict(job)
            found = known.find(wanted)
            if found is not None:
                self.hits += 1
                answers[at] = found
            else:
                asked.setdefault((job.query, wanted), []).append(at)
        missing = [Job(query, *wanted) for query, wanted in asked]
        planned = self._planner.plan_each(missing) if missing else []
        for ((query, wanted), places), answer in zip(asked.items(), planned, strict=True):
            known = self._of(query)
            if not isinstance(known, NotPlannedError):
                known.keep(wanted, answer)
            self.hits += len(places) - 1
            answers.update(dict.fromkeys(places, answer))
        return [answers[at] for at in range(len(jobs))]

    def relations(self, query: Query) -> frozenset[str] | None:
        """See `BatchPlanner.relations`."""
        known = self._of(query)
        if isinstance(known, NotPlannedError):
            raise known
        return known.relations

    def _of(self, query: Query) -> _Known | NotPlannedError:
        known = self._known.get(query)
        if known is None:
            try:
                known = _Known(self._planner.relations(query))
            except NotPlannedError as error:
                known = error
            self._known[query] = known
        return known
