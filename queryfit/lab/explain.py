"""Plans of statements in one open transaction: parameters declared, values folded or not, errors survived."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from queryfit.capture.connect_errors import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, QUERY_CANCELED, QueryError
from queryfit.capture.generic_plans import TYPE_ERRORS
from queryfit.capture.generic_text import UNKNOWN, untyped_parameter
from queryfit.lab.document import Document, read
from queryfit.lab.planner import NotPlannedError
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from queryfit.lab.planner import Query
    from queryfit.lab.session import Session
    from queryfit.lab.texts import Plannable

NAME = "queryfit_what_if"
SAVEPOINT = "queryfit_what_if"


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as the server tells it: `used` are schema and name of indexes."""

    cost: float
    used: frozenset[tuple[str, str]]
    document: Document


@dataclass(slots=True)
class Explainer:
    """Explains in the open transaction of a session; `begin` is called at the start of each.

    Remembers how the parameters of a text are to be declared, so that it is found out once.
    """

    session: Session
    is_verbose: bool = True
    _types: dict[str, Mapping[int, str]] = field(default_factory=dict)
    _settings: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        """Note where a refused statement leads back to: behind whatever made the indexes appear."""
        self._settings = {}
        self.session.run(f"savepoint {SAVEPOINT}")

    def explain(self, query: Query, text: Plannable) -> Plan:
        """The plan of one statement. Raises NotPlannedError; the transaction stays usable."""
        try:
            # pg_temp last: behind a pooler the backend may hold another client's temporary tables
            path = ", ".join(quote_identifier(schema) for schema in (*query.search_path, "pg_temp"))
            self._set("search_path", path)
            answer = self._prepared(text) if text.parameters else self._explain(text.text)
            cost, used = read(answer)
        except QueryError as error:
            self.recover()
            raise NotPlannedError(reason(error), hint=hint(error)) from error
        except msgspec.DecodeError as error:
            raise NotPlannedError(f"the server's answer is no plan: {error}") from error
        return Plan(cost, used, Document(answer))

    def _set(self, name: str, value: str) -> None:
        if self._settings.get(name) != value:
            self.session.set_local({name: value})
            self._settings[name] = value

    def recover(self) -> None:
        """Make the transaction usable again after an error, as it was at `begin`."""
        self.session.run(f"rollback to savepoint {SAVEPOINT}")
        self._settings = {}

    def _explain(self, statement: str) -> bytes:
        options = "verbose, format json" if self.is_verbose else "format json"
        rows = self.session.run(f"explain ({options}) {statement}")
        return b"" if not rows or rows[0][0] is None else rows[0][0]

    def _prepared(self, text: Plannable) -> bytes:
        self._set("plan_cache_mode", "force_generic_plan" if text.values is None else "force_custom_plan")
        self._prepare(text)
        try:
            values = text.values or ("null",) * text.parameters
            return self._explain(f"execute {NAME}({', '.join(values)})")
        except QueryError:
            self.recover()
            raise
        finally:
            # prepared statements outlive transactions: behind a pooler the next client would meet it
            self.session.run(f"deallocate {NAME}")

    def _prepare(self, text: Plannable) -> None:
        """Prepare a text, with guessed types for its parameters where the server cannot tell them."""
        types = self._types.get(text.text, {})
        guesses = iter(text.guesses)
        settings = dict(self._settings)
        while True:
            try:
                self.session.run(f"prepare {NAME}{_declared(types, text.parameters)} as {text.text}")
            except QueryError as error:
                self.recover()
                number = untyped_parameter(error.message)
                if number is not None and number not in types and number <= text.parameters:
                    types = {**types, number: "text"}
                elif error.sqlstate not in TYPE_ERRORS or (guess := next(guesses, None)) is None:
                    raise
                else:
                    types = guess
                for name, value in settings.items():
                    self._set(name, value)
            else:
                self._types[text.text] = types
                return


def _declared(types: Mapping[int, str], count: int) -> str:
    if not types:
        return ""
    return f"({', '.join(types.get(number, UNKNOWN) for number in range(1, count + 1))})"


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
