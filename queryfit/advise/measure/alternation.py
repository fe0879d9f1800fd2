"""Statements run without and with a set in turn, so that whatever drifts (caches, neighbours, the clock) hits both.

All statements are planned on both sides first; those that plan the same cannot differ, and only a few of them are run,
as controls. Each other statement runs B A | A B | B A | … : the sides change places from pair to pair, the set is
switched between them, each switch is followed by a plain EXPLAIN that reloads what planning needs, and the first run of
each side, which also counts the blocks, is thrown away. Times are the server's own, planning and execution, so that
neither the network nor the client is in them; TIMING is off, since reading the clock at each row costs most where a
plan has many cheap rows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from queryfit.advise.measure.measured import Options, Outcome, Side, Trial
from queryfit.advise.measure.runnable import PREPARED, body, prepare, runnable
from queryfit.advise.measure.server import Session
from queryfit.advise.measure.switches import Switch
from queryfit.advise.model import Skipped
from queryfit.capture.connect_errors import QUERY_CANCELED, QueryError
from queryfit.errors import QueryfitError
from queryfit.lab.explain import find_types
from queryfit.lab.planner import Query
from queryfit.lab.texts import Plannable
from queryfit.words import duration

_COSTS = frozenset({"Startup Cost", "Total Cost", "Plan Rows", "Plan Width"})
_MS = 1000
_LATE = "the time limit of the measurement was reached before it"
_WAITING = """
select exists (select from pg_locks where not granted and pg_backend_pid() = any(pg_blocking_pids(pid)))
    as is_waited_for
"""


@dataclass(slots=True)
class Runner:
    """Runs statements on one session under a switch. `hidden` are the indexes that a side does without."""

    session: Session
    switch: Switch
    options: Options
    deadline: float  # by time.monotonic()

    _texts: dict[Query, Plannable] = field(default_factory=dict)
    _types: dict[str, Mapping[int, str]] = field(default_factory=dict)

    def runnable(self, trials: Sequence[Trial]) -> tuple[list[Trial], list[Skipped]]:
        """The statements that may be run, and why the others are not."""
        kept: list[Trial] = []
        skipped: list[Skipped] = []
        for trial in trials:
            version_number = self.session.connection.info.server_version
            text, reason = runnable(trial.query, version_number, is_writing=self.options.is_writing)
            if text is None:
                skipped.append(Skipped(trial.fingerprint, f"not run: {reason}"))
            else:
                self._texts[trial.query] = text
                kept.append(trial)
        return kept, skipped

    @contextlib.contextmanager
    def side(self, hidden: Collection[str], query: Query) -> Iterator[None]:
        """A part of a transaction in which the statement is ready to run."""
        with self.switch.hiding(hidden), self.prepared(query):
            yield

    @contextlib.contextmanager
    def prepared(self, query: Query) -> Iterator[None]:
        """Have the statement prepared, if it has parameters."""
        text = self._texts[query]
        if not text.parameters:
            yield
            return
        with self.session.savepoint("queryfit_prepare", keep=True):
            self.session.run("select pg_catalog.set_config('search_path', $1, true)", (_path(query.search_path),))
            self._prepare(text)
        try:
            yield
        finally:
            # it would outlive the rollback; the connection that fails here is lost anyhow
            with contextlib.suppress(QueryfitError):
                self.session.run(f"deallocate {PREPARED}")

    def _prepare(self, text: Plannable) -> None:
        """PREPARE, the first time with guessed types for parameters where the server cannot tell them."""
        known = self._types.get(text.text)
        if known is None:
            self._types[text.text] = find_types(text, lambda types: self._attempt(text, types))
        else:
            self._attempt(text, known)

    def _attempt(self, text: Plannable, types: Mapping[int, str]) -> None:
        with self.session.savepoint("queryfit_guess", keep=True):
            self.session.run(prepare(text, types))

    def explain(self, query: Query, options: str, *, limit_s: float = 60) -> dict[str, Any]:
        """EXPLAIN of a statement in a part of the transaction that is rolled back. Raises QueryError."""
        with self.session.savepoint("queryfit_run"):
            self.session.run(
                "select pg_catalog.set_config('statement_timeout', $1, true), "
                "pg_catalog.set_config('transaction_read_only', $2, true), "
                "pg_catalog.set_config('search_path', $3, true)",
                (
                    f"{max(1, int(limit_s * _MS))}ms",
                    "off" if self.options.is_writing else "on",
                    _path(query.search_path),
                ),
            )
            rows = self.session.run(f"explain ({options}, format json) {body(self._texts[query])}")
            document: dict[str, Any] = rows[0]["QUERY PLAN"][0]
            return document

    def timed(self, query: Query) -> float:
        """Planning and execution time of one run, in ms."""
        return _time_ms(self.explain(query, "analyze, timing off, buffers off, summary", limit_s=self.limit_s))

    def warm_up(self, query: Query) -> dict[str, Any]:
        return self.explain(query, "analyze, timing off, buffers, summary", limit_s=self.limit_s)

    def check(self) -> None:
        """Raise StopError when the time is up, or when others want the tables that this transaction holds."""
        if time.monotonic() > self.deadline:
            raise StopError(_LATE)
        if self.session.run(_WAITING)[0]["is_waited_for"]:
            raise StopError("another session waited for a table of this measurement, which let it go on")

    @property
    def limit_s(self) -> float:
        return max(0.001, min(self.options.run_s, self.deadline - time.monotonic()))


@dataclass(slots=True)
class Plans:
    """What planning said: the statements that the set changes, those that it does not, both by weighted cost."""

    changed: list[Trial] = field(default_factory=list)
    unchanged: list[Trial] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def plan_both(runner: Runner, trials: Sequence[Trial], *, before: Collection[str], after: Collection[str]) -> Plans:
    """Plan all statements with `before` hidden and with `after` hidden, running none."""
    plans = Plans()
    sides: list[dict[Trial, dict[str, Any]]] = []
    left = list(trials)
    for hidden in (before, after):
        found: dict[Trial, dict[str, Any]] = {}
        with runner.switch.hiding(hidden):
            for trial in left:
                try:
                    with runner.prepared(trial.query):
                        found[trial] = runner.explain(trial.query, "costs")["Plan"]
                except QueryError as error:
                    plans.skipped.append(Skipped(trial.fingerprint, f"the server refuses it: {error.message}"))
        sides.append(found)
        left = [trial for trial in left if trial in found]
    left.sort(key=lambda trial: -trial.weight * sides[0][trial]["Total Cost"])
    for trial in left:
        is_same = shape(sides[0][trial]) == shape(sides[1][trial])
        is_write = sides[0][trial]["Node Type"] == "ModifyTable"  # the plan does not show what indexes cost it
        (plans.unchanged if is_same and not is_write else plans.changed).append(trial)
    return plans


@dataclass(slots=True)
class _Runs:
    """What has been run of one side."""

    hidden: Collection[str]
    times_ms: list[float] = field(default_factory=list)
    warm: dict[str, Any] | None = None
    timed_out_ms: float | None = None

    def side(self, names: Mapping[str, str]) -> Side:
        if self.warm is None or self.timed_out_ms is not None:
            return Side((self.timed_out_ms or 0.0,), None, None, frozenset(), is_timed_out=True)
        plan = self.warm["Plan"]
        return Side(
            tuple(self.times_ms), plan.get("Shared Hit Blocks", 0), plan.get("Shared Read Blocks", 0),
            frozenset(names.get(name, name) for name in _indexes(plan)),
        )  # fmt: skip


class StopError(Exception):
    """The measurement must end in the middle of a statement; its words say why."""


def alternate(
    runner: Runner,
    trial: Trial,
    *,
    before: Collection[str],
    after: Collection[str],
    is_control: bool = False,
    rounds: int | None = None,
) -> Outcome | Skipped:
    """Run one statement with `before` hidden and with `after` hidden in turn; raises StopError.

    `rounds` stands in for that of the options.
    """
    options = runner.options
    rounds = options.rounds if rounds is None else rounds
    sides = [_Runs(before), _Runs(after)]
    start = time.monotonic()
    try:
        for runs in sides:
            _run(runner, trial.query, runs, times=0, is_warm_up=True)
        if all(runs.timed_out_ms is not None for runs in sides):
            return Skipped(trial.fingerprint, f"it takes more than {duration(options.run_s * _MS)} both ways")
        for number in range(options.most_rounds):
            # how many rounds there are depends on time alone, never on what they say
            spent = time.monotonic() - start
            is_over = spent > options.statement_s or time.monotonic() > runner.deadline
            if (number >= rounds and spent > options.quick_s) or (number >= options.least_rounds and is_over):
                break
            runner.check()
            for runs in reversed(sides) if number % 2 == 0 else sides:
                _run(runner, trial.query, runs, times=1)
    except QueryError as error:
        return Skipped(trial.fingerprint, f"it fails: {error.message}")
    one, other = (runs.side(runner.switch.names) for runs in sides)
    return Outcome(trial, one, other, options.tolerance, is_control)


def _run(runner: Runner, query: Query, runs: _Runs, *, times: int, is_warm_up: bool = False) -> None:
    """Run a statement on one side: no more than once where it reaches its time limit."""
    if runs.timed_out_ms is not None:
        return
    limit_s = runner.limit_s
    try:
        with runner.side(runs.hidden, query):
            runner.explain(query, "costs")
            if is_warm_up:
                runs.warm = runner.warm_up(query)
            runs.times_ms += [runner.timed(query) for _ in range(times)]
    except QueryError as error:
        if error.sqlstate != QUERY_CANCELED:
            raise
        if limit_s < runner.options.run_s:
            raise StopError(_LATE) from None
        runs.timed_out_ms = limit_s * _MS


def _path(search_path: Sequence[str]) -> str:
    return ", ".join('"' + name.replace('"', '""') + '"' for name in search_path)


def _time_ms(document: Mapping[str, Any]) -> float:
    return float(document["Planning Time"]) + float(document["Execution Time"])


def shape(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan without its estimates: equal shapes execute the same."""
    kept = {name: value for name, value in plan.items() if name not in _COSTS}
    if "Plans" in kept:
        kept["Plans"] = [shape(child) for child in plan["Plans"]]
    return kept


def _indexes(plan: Mapping[str, Any]) -> Iterator[str]:
    if "Index Name" in plan:
        yield plan["Index Name"]
    for child in plan.get("Plans", ()):
        yield from _indexes(child)
