"""Plans of captured statements in the open transaction of a trial, whatever it has changed so far."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from queryfit.capture.connect_errors import QueryError
from queryfit.errors import QueryfitError
from queryfit.lab.database import READER
from queryfit.lab.explain import Explainer
from queryfit.lab.planner import NotPlannedError
from queryfit.sql.names import qualified

if TYPE_CHECKING:
    from queryfit.lab.explain import Plan
    from queryfit.lab.session import Session
    from queryfit.lab.trial.workload import Captured

_SAVEPOINT = "queryfit_trial_plans"
# The statement names what is not there any more, or does not fit it any more: no other reason gives these.
_PROOFS = frozenset({
    "3F000",  # schema
    "42P01", "42703", "42704",  # table, column, type
    "42702",  # a column of the same name came beside it
    "42803",  # a key that GROUP BY rested on
    "42809",  # another kind of object
    "42P10",  # ON CONFLICT without its unique index
    "42601",  # INSERT with more values than columns
    "428C9",  # a column became generated
})  # fmt: skip
# Only sure where no type of a parameter was guessed.
_ARGUMENTS = re.compile(r"\(.*\) does not exist")
_PROOFS_WITHOUT_PARAMETERS = frozenset({"42883", "42804", "42846", "22P02"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a statement has no plan; `is_proof`: on the real server it would have none either."""

    message: str
    is_proof: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The plans of one statement: costs by the number of its query, or why the statement itself has none."""

    costs: Mapping[int, float]
    used: frozenset[str]  # schema.name of indexes, as they are called in their partitions
    relations: frozenset[str]  # schema.name of tables in the plans
    refusal: Refusal | None = None


@dataclass(slots=True)
class Plans:
    """Plans as the role that policies bind, in a savepoint that is led back to. `deadline` as time.monotonic()."""

    session: Session
    deadline: float
    settings: Mapping[str, str] = field(default_factory=dict)

    def of(self, statements: Iterable[Captured]) -> dict[str, Outcome]:
        """The outcomes by fingerprint. Raises QueryfitError when the time is up or the server gives out."""
        self.session.run(f"savepoint {_SAVEPOINT}")
        try:
            self.session.set_local(self.settings)
            self.session.run(f"set local role {READER}")
            explainer = Explainer(self.session)  # a new one: types of parameters may be others now
            explainer.begin()
            return {statement.fingerprint: self._outcome(explainer, statement) for statement in statements}
        finally:
            if self.session.is_in_transaction:
                self.session.run(f"rollback to savepoint {_SAVEPOINT}")
                self.session.run(f"release savepoint {_SAVEPOINT}")

    def _outcome(self, explainer: Explainer, statement: Captured) -> Outcome:
        costs: dict[int, float] = {}
        used: set[str] = set()
        relations: set[str] = set()
        for number, (query, text) in enumerate(statement.queries):
            if time.monotonic() > self.deadline:
                raise QueryfitError("the time for the trial is up")
            try:
                plan = explainer.explain(query, text)
            except NotPlannedError as error:
                if number == 0:
                    return Outcome({}, frozenset(), frozenset(), _refusal(error, text.parameters))
                continue
            costs[number] = plan.cost
            used.update(qualified(*index) for index in plan.used)
            relations.update(_relations(plan))
        return Outcome(costs, frozenset(used), frozenset(relations))


def _refusal(error: NotPlannedError, parameters: int) -> Refusal:
    cause = error.__cause__
    if not isinstance(cause, QueryError):
        return Refusal(error.message, is_proof=False)
    state = cause.sqlstate or ""
    is_sure = state in _PROOFS or (
        state in _PROOFS_WITHOUT_PARAMETERS and (not parameters or cause.message.startswith("function "))
    )
    # types of arguments are what was guessed last for the parameters
    message = _ARGUMENTS.sub("(…) does not exist", cause.message) if parameters else cause.message
    return Refusal(message, is_proof=is_sure)


def _relations(plan: Plan) -> Iterator[str]:
    waiting: list[Mapping[str, Any]] = [plan.document]
    while waiting:
        node = waiting.pop()
        if "Relation Name" in node:
            yield qualified(node.get("Schema", ""), node["Relation Name"])
        waiting += node.get("Plans", ())
