"""Plans of statements in one open transaction: parameters declared, values folded or not, errors survived."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from queryfit.capture.connect_errors import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, QUERY_CANCELED, QueryError
from queryfit.capture.generic_plans import TYPE_ERRORS
from queryfit.capture.generic_text import UNKNOWN, untyped_parameter
from queryfit.lab.document import Document, read
from queryfit.lab.guesses import parameters_at
from queryfit.lab.planner import NotPlannedError
from queryfit.lab.session import StatementError
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from queryfit.lab.guesses import Guess
    from queryfit.lab.planner import Query
    from queryfit.lab.session import Session
    from queryfit.lab.texts import Plannable

NAME = "queryfit_what_if"
SAVEPOINT = "queryfit_what_if"
MOST_GUESSES = 60
MENDABLE = TYPE_ERRORS | {"42809"}  # ANY of what is no array


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as the server tells it: `used` are schema and name of indexes."""

    cost: float
    used: frozenset[tuple[str, str]]
    document: Document


@dataclass(slots=True)
class Explainer:
    """Explains in the open transaction of a session; `begin` is called in each.

    Each statement runs behind a savepoint that it is led back to, so an error costs nothing of what was done before,
    and the locks that a statement takes to be planned are given back. Remembers how the parameters of a text are to be
    declared, so that it is found out once.
    """

    session: Session
    _types: dict[str, Mapping[int, str] | QueryError] = field(default_factory=dict)
    _settings: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        """Set the savepoint, in a transaction or savepoint that has just begun."""
        self._settings = {}
        self.session.run(f"savepoint {SAVEPOINT}")

    @contextmanager
    def before(self) -> Iterator[None]:
        """Inside, statements run before the savepoint: they last. After an error the transaction is to be ended."""
        self.session.run(f"release savepoint {SAVEPOINT}")
        yield
        self.session.run(f"savepoint {SAVEPOINT}")

    def explain(self, query: Query, text: Plannable) -> Plan:
        """The plan of one statement. Raises NotPlannedError; the transaction stays usable."""
        try:
            self._set(query, text)
            answer = self._prepared(text) if text.parameters else self._explain(text.text)
            cost, used = read(answer)
        except QueryError as error:
            raise NotPlannedError(reason(error), hint=hint(error)) from error
        except msgspec.DecodeError as error:
            raise NotPlannedError(f"the server's answer is no plan: {error}") from error
        finally:
            self.recover()
        return Plan(cost, used, Document(answer))

    def recover(self) -> None:
        """Lead back to the savepoint, whatever happened behind it."""
        if self.session.is_in_transaction:
            self.session.run(f"rollback to savepoint {SAVEPOINT}")

    def _set(self, query: Query, text: Plannable) -> None:
        # pg_temp last: behind a pooler the backend may hold another client's temporary tables
        path = ", ".join(quote_identifier(schema) for schema in (*query.search_path, "pg_temp"))
        wanted = {"search_path": path}
        if text.parameters:
            wanted["plan_cache_mode"] = "force_generic_plan" if text.values is None else "force_custom_plan"
        changed = {name: value for name, value in wanted.items() if self._settings.get(name) != value}
        if changed:
            with self.before():
                self.session.set_local(changed)
            self._settings |= changed

    def _explain(self, statement: str) -> bytes:
        rows = self.session.run(f"explain (verbose, format json) {statement}")
        return b"" if not rows or rows[0][0] is None else rows[0][0]

    def _prepared(self, text: Plannable) -> bytes:
        known = self._types.get(text.text)
        if isinstance(known, QueryError):
            raise known
        if known is None:
            try:
                self._types[text.text] = find_types(text, lambda types: self._attempt(text, types))
            except QueryError as error:
                if error.sqlstate in MENDABLE:
                    self._types[text.text] = error
                raise
        else:
            self._prepare(text, known)
        try:
            values = text.values or ("null",) * text.parameters
            return self._explain(f"execute {NAME}({', '.join(values)})")
        finally:
            self.recover()
            if self.session.is_in_transaction:
                # prepared statements outlive transactions: behind a pooler the next client would meet it
                self.session.run(f"deallocate {NAME}")

    def _prepare(self, text: Plannable, types: Mapping[int, str]) -> None:
        self.session.run(f"{_head(text, types)}{text.text}")

    def _attempt(self, text: Plannable, types: Mapping[int, str]) -> None:
        try:
            self._prepare(text, types)
        except QueryError:
            self.recover()
            raise


def find_types(text: Plannable, attempt: Callable[[Mapping[int, str]], None]) -> Mapping[int, str]:
    """Types to declare the parameters of a text with: `attempt` prepares it with some, and raises QueryError.

    The next guess is made for the parameters at the place that the server complains of. Raises QueryError.
    """
    types: dict[int, str] = {}
    left = {guess: list(guess.choices) for guess in text.guesses}
    for _ in range(MOST_GUESSES):
        try:
            attempt(types)
        except QueryError as error:
            if error.sqlstate not in MENDABLE:
                raise
            number = untyped_parameter(error.message)
            at = error.position if isinstance(error, StatementError) else None
            position = -1 if at is None else at - len(_head(text, types))
            if number is not None and types.get(number) is None and number <= text.parameters:
                types[number] = "text"
            elif not _guess(left, types, position, parameters_at(text.text, text.statement, position)):
                raise
        else:
            return types
    raise QueryError("the types of its parameters were not found", sqlstate=min(TYPE_ERRORS))


def _head(text: Plannable, types: Mapping[int, str]) -> str:
    declared = ", ".join(types.get(number, UNKNOWN) for number in range(1, text.parameters + 1)) if types else ""
    return f"prepare {NAME}{declared and f'({declared})'} as "


def _guess(left: dict[Guess, list[str]], types: dict[int, str], position: int, inside: frozenset[int]) -> bool:
    """Try the next type of the parameters at a place, else of those inside of it; whether there was one."""

    def distance(guess: Guess) -> tuple[bool, bool, bool, int]:
        is_weak = guess.choices[0] == UNKNOWN
        return (
            guess.location != position, inside.isdisjoint(guess.numbers), is_weak, abs(guess.location - position)
        )  # fmt: skip

    for guess in sorted(left, key=distance):
        choices = left[guess]
        while choices and all(types.get(number, UNKNOWN) == choices[0] for number in guess.numbers):
            choices.pop(0)
        if choices:
            types.update(dict.fromkeys(guess.numbers, choices.pop(0)))
            return True
        for number in guess.numbers:  # none of them fits: another place may be at fault
            types.pop(number, None)
    return False


def reason(error: QueryError) -> str:
    """Why the server gives no plan, in words."""
    if error.sqlstate == QUERY_CANCELED:
        return "planning took too long and was given up"
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return "a relation that it reads is locked"
    if error.sqlstate in TYPE_ERRORS:
        return f"the types in it do not fit: {error.message}"
    return f"the server does not plan it: {error.message}"


def hint(error: QueryError) -> str | None:
    """What would let the server plan it."""
    if error.sqlstate == INSUFFICIENT_PRIVILEGE:
        return "EXPLAIN needs the statement's own privileges: pg_read_all_data covers SELECT only"
    return error.hint
