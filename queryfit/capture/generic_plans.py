"""Generic plans of the statements that matter, made by the audited server itself.

Each statement is prepared with unknown constants and explained with a forced generic plan, in one short transaction
that also deallocates it: behind a transaction pooler the next transaction may meet another backend. EXPLAIN
(GENERIC_PLAN) of 16 and later is no way: it would have to go by the simple protocol, because under the extended one its
parameters must be bound, and the planner then folds the bound nulls into the plan. Since the prepared statement always
has the same name, all EXPLAINs together cost pg_stat_statements one entry per number of parameters.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from queryfit.capture.connect_errors import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, QUERY_CANCELED, QueryError
from queryfit.capture.generic_text import UNKNOWN, declarations, parameter_count, preparable, untyped_parameter
from queryfit.errors import QueryfitError
from queryfit.plans.explain import read_plan
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from queryfit.capture.connect import Reader, Transaction
    from queryfit.capture.guard import Guard

Row = dict[str, Any]

DEFAULT_LIMIT = 100
DEFAULT_BUDGET_MS = 30_000
STATEMENT_MS = 3_000  # a plan that takes longer is not worth the server's time
ORIGIN = "forced_generic"
NAME = "queryfit_generic_plan"
PLANNABLE_KINDS = frozenset({"select", "insert", "update", "delete", "merge"})
MAX_PARAMETERS = 2_000
# Errors that another guess of the parameters' types may mend.
TYPE_ERRORS = frozenset({"42725", "42883", "42P18", "42804", "42P08", "42846", "42P38", "22P02"})
TRACKS = """
select current_setting('pg_stat_statements.track', true) is not null
    and (r.rolsuper or ($1 and has_parameter_privilege('pg_stat_statements.track', 'SET'))) as may_hide
from pg_roles as r where r.rolname = current_user
"""
FIRST_PARAMETER_PRIVILEGE = 150000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A statement that might be planned: `search_path` is its schemas in order; the weights say how much it matters."""

    fingerprint: str
    text: str
    kind: str
    search_path: tuple[str, ...]
    execution_ms: float
    blocks_read: int
    temp_blocks: int


@dataclass(slots=True)
class PlannedStatements:
    """Rows of the evidence tables `plan`, `plan_node` and `unread`."""

    plans: list[Row] = field(default_factory=list)
    nodes: list[Row] = field(default_factory=list)
    unread: list[Row] = field(default_factory=list)


def choose(candidates: Iterable[Candidate], limit: int = DEFAULT_LIMIT) -> list[Candidate]:
    """The statements that matter by time, by blocks read or by blocks spilled: the best of each in turn.

    A fingerprint comes once, with the search path of its heaviest run and the weights of all.
    """
    merged: dict[str, Candidate] = {}
    for candidate in sorted(candidates, key=lambda one: -one.execution_ms):
        if candidate.kind not in PLANNABLE_KINDS:
            continue
        known = merged.get(candidate.fingerprint)
        merged[candidate.fingerprint] = candidate if known is None else _sum(known, candidate)
    ranks: dict[str, int] = {}
    for weight in ("execution_ms", "blocks_read", "temp_blocks"):
        heavy = [one for one in merged.values() if getattr(one, weight) > 0]
        for rank, one in enumerate(sorted(heavy, key=lambda one: (-getattr(one, weight), one.fingerprint))):
            ranks[one.fingerprint] = min(rank, ranks.get(one.fingerprint, rank))
    order = sorted(ranks, key=lambda fingerprint: (ranks[fingerprint], -merged[fingerprint].execution_ms, fingerprint))
    return [merged[fingerprint] for fingerprint in order[:limit]]


def _sum(one: Candidate, other: Candidate) -> Candidate:
    return Candidate(
        fingerprint=one.fingerprint,
        text=one.text,
        kind=one.kind,
        search_path=one.search_path,
        execution_ms=one.execution_ms + other.execution_ms,
        blocks_read=one.blocks_read + other.blocks_read,
        temp_blocks=one.temp_blocks + other.temp_blocks,
    )


def plan_statements(
    reader: Reader,
    statements: Sequence[Candidate],
    guard: Guard,
    *,
    limit: int = DEFAULT_LIMIT,
    budget_ms: float = DEFAULT_BUDGET_MS,
    progress: Callable[[str], None] = lambda _: None,
) -> PlannedStatements:
    """Plan the first `limit` statements in the reader's database, as far as `guard` lets them and time allows.

    What cannot be planned becomes a row of `unread` with its reason. Raises ServerGoneError when the connection is
    lost.
    """
    result = PlannedStatements()
    planner = _Planner(reader, guard, may_hide=_may_hide(reader))
    deadline = time.monotonic() + budget_ms / 1000
    for number, statement in enumerate(statements[:limit]):
        left_ms = (deadline - time.monotonic()) * 1000
        if left_ms <= 0:
            result.unread.append(
                _left_out(reader, len(statements) - number, f"the {budget_ms / 1000:g} s were used up")
            )
            return result
        progress(f"{reader.database}: plan {number + 1} of {min(limit, len(statements))}")
        try:
            document = planner.plan(statement, min(STATEMENT_MS, left_ms))
            nodes = read_plan(document)
        except QueryError as error:
            result.unread.append(_unread(reader, statement, _refused(error), _hint(error)))
        except _NotPlannedError as error:
            result.unread.append(_unread(reader, statement, error.message, error.hint))
        else:
            plan = f"{statement.fingerprint}/{reader.database}/1"
            result.plans.append(_plan_row(reader, statement, plan, document))
            result.nodes += [{"plan": plan, **asdict(node)} for node in nodes]
    if len(statements) > limit:
        result.unread.append(_left_out(reader, len(statements) - limit, f"at most {limit} are"))
    return result


class _NotPlannedError(QueryfitError):
    """The guard keeps a statement from the server, or the server's answer is no plan."""


@dataclass(frozen=True, slots=True)
class _Planner:
    reader: Reader
    guard: Guard
    may_hide: bool

    def plan(self, statement: Candidate, timeout_ms: float) -> Any:
        """The EXPLAIN document of one statement; raises QueryError or _NotPlannedError."""
        text = preparable(statement.text, self.reader.version_number)
        reason = self.guard.verdict(text, statement.search_path)  # of this very text: it is what the server gets
        if reason is not None:
            raise _NotPlannedError(f"not planned on the live server: {reason}")
        count = parameter_count(text)
        if count > MAX_PARAMETERS:
            raise _NotPlannedError(f"not planned: it has {count:,} parameters")
        # pg_temp last: behind a pooler the backend may hold another client's temporary tables
        path = ", ".join(quote_identifier(schema) for schema in (*statement.search_path, "pg_temp"))
        settings = {"plan_cache_mode": "force_generic_plan"}
        if self.may_hide:
            settings["pg_stat_statements.track"] = "none"
        with self.reader.transaction(timeout_ms=max(int(timeout_ms), 1), search_path=path) as transaction:
            transaction.set_local(settings)
            _prepare(transaction, text, count)
            try:
                nulls = f"({', '.join(['null'] * count)})" if count else ""
                rows = _safely(transaction, f"explain (verbose, format json) execute {NAME}{nulls}")
            finally:
                if not self.reader.connection.closed:
                    transaction.execute(f"deallocate {NAME}")
        return _document(rows)


def _prepare(transaction: Transaction, text: str, count: int) -> None:
    """Prepare a text, with guessed types for its parameters where the server cannot tell them."""
    types: dict[int, str] = {}
    guesses = declarations(text)
    guess_at = 0
    while True:
        try:
            _safely(transaction, f"prepare {NAME}{_declared(types, count)} as {text}")
        except QueryError as error:
            number = untyped_parameter(error.message)
            if number is not None and number not in types and number <= count:
                types = {**types, number: "text"}
            elif error.sqlstate in TYPE_ERRORS and guess_at < len(guesses):
                types = guesses[guess_at]
                guess_at += 1
            else:
                raise
        else:
            return


def _safely(transaction: Transaction, sql: str) -> list[Row]:
    """Run a statement so that an error leaves the transaction usable: what was prepared must still be deallocated."""
    transaction.execute("savepoint queryfit")
    try:
        rows = transaction.query(sql)
    except QueryError:
        transaction.execute("rollback to savepoint queryfit")
        raise
    transaction.execute("release savepoint queryfit")
    return rows


def _declared(types: Mapping[int, str], count: int) -> str:
    if not types:
        return ""
    return f"({', '.join(types.get(number, UNKNOWN) for number in range(1, count + 1))})"


def _document(rows: Sequence[Row]) -> Any:
    document = next(iter(rows[0].values())) if rows else None
    _drop_outputs(document)
    return document


def _drop_outputs(document: Any) -> None:
    """Take off the lists of output columns: most of a document's length, and no rule reads them."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            value.pop("Output", None)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _may_hide(reader: Reader) -> bool:
    """Whether this role may keep its EXPLAINs out of pg_stat_statements."""
    is_grantable = reader.version_number >= FIRST_PARAMETER_PRIVILEGE
    sql = (
        TRACKS
        if is_grantable
        else TRACKS.replace("has_parameter_privilege('pg_stat_statements.track', 'SET')", "false")
    )
    rows = reader.query(sql, [is_grantable])
    return bool(rows and rows[0]["may_hide"])


def _plan_row(reader: Reader, statement: Candidate, plan: str, document: Any) -> Row:
    top = read_plan(document)[0]
    return {
        "plan": plan,
        "database": reader.database,
        "fingerprint": statement.fingerprint,
        "origin": ORIGIN,
        "total_cost": top.total_cost,
        "plan_rows": top.plan_rows,
        "execution_ms": None,
        "document": json.dumps(document, ensure_ascii=False, separators=(",", ":")),
    }


def _unread(reader: Reader, statement: Candidate, reason: str, hint: str | None) -> Row:
    return {
        "table_name": "plan",
        "database": reader.database,
        "subject": f"fingerprint:{statement.fingerprint}",
        "reason": reason,
        "hint": hint,
    }


def _left_out(reader: Reader, count: int, why: str) -> Row:
    return {
        "table_name": "plan",
        "database": reader.database,
        "subject": None,
        "reason": f"{count} lighter statements were not planned: {why}",
        "hint": None,
    }


def _refused(error: QueryError) -> str:
    if error.sqlstate == QUERY_CANCELED:
        return "planning took too long and was given up"
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return "a relation that it reads is locked"
    if error.sqlstate in TYPE_ERRORS:
        return f"the types of its parameters cannot be told: {error.message}"
    return f"the server does not plan it: {error.message}"


def _hint(error: QueryError) -> str | None:
    if error.sqlstate == INSUFFICIENT_PRIVILEGE:
        return (
            "EXPLAIN needs the statement's own privileges: pg_read_all_data (14 and later) covers SELECT; for INSERT, "
            "UPDATE and DELETE connect as a role that may run them"
        )
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return "capture again when the lock is released"
    return error.hint
