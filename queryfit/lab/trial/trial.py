"""Migrations tried in the lab: the captured statements are planned before, and after each statement of the migration.

All of it happens in one transaction that is rolled back. A copy of the database would have to copy its files, and the
sparse terabytes of a lab would become real ones. The migration is a stranger's code: it runs as the role that owns what
was captured, which is no superuser, with a timeout, on a server that listens on a private socket only.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg

from queryfit.capture.connect_errors import QueryError, ServerGoneError, query_error
from queryfit.errors import QueryfitError
from queryfit.evidence.lines import Lines
from queryfit.evidence.session import open_session
from queryfit.findings import NotChecked
from queryfit.lab.build import Lab, build, captured_major
from queryfit.lab.programs import programs_for
from queryfit.lab.relations import Relations
from queryfit.lab.server import remove_labs
from queryfit.lab.session import Session
from queryfit.lab.stage import MEMBERSHIP
from queryfit.lab.table_facts import tables_of
from queryfit.lab.trial.catalog import Catalog, Entry
from queryfit.lab.trial.changes import History, Unknown, new_indexes, plan_changes
from queryfit.lab.trial.plans import Plans
from queryfit.lab.trial.steps import Part, choice_of, parts_of
from queryfit.lab.trial.workload import Found, captured_statements

if TYPE_CHECKING:
    from queryfit.evidence.session import Session as Evidence
    from queryfit.evidence.store import Capture
    from queryfit.lab.trial.changes import NewIndex, PlanChange
    from queryfit.migrations.files import MigrationFile
    from queryfit.migrations.replay import Run

RULES = ("statements-fail-after-migration", "statements-plan-dearer")
TABLES = ("migration_plan_change", "migration_new_index")
TIME_LIMIT_S = 120.0  # of planning and trying; building the lab comes before
STEPWISE_S = 30.0  # of planning after each statement; then only once, when all have run
MOST_REASONS = 3  # for leaving captured statements out
_STATEMENT_TIMEOUT = "10s"
SETTINGS = {"statement_timeout": _STATEMENT_TIMEOUT, "lock_timeout": "5s", "client_min_messages": "error"}
_NEW_RELATIONS = frozenset("rmpf")
_LINES = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Tried:
    """Rows of the tables `TABLES`, and what was not checked."""

    rows: dict[str, Lines]
    not_checked: tuple[NotChecked, ...] = ()

    @classmethod
    def of(
        cls,
        changes: Sequence[PlanChange] = (),
        indexes: Sequence[NewIndex] = (),
        not_checked: Sequence[NotChecked] = (),
    ) -> Tried:
        lines = (_LINES.encode_lines(changes), _LINES.encode_lines(indexes))
        return cls(dict(zip(TABLES, map(Lines, lines), strict=True)), tuple(not_checked))


class AbsentError(QueryfitError):
    """There is nothing to try migrations with: no PostgreSQL for the lab, or no statements."""


def try_migrations(
    capture: Capture,
    files: Sequence[MigrationFile],
    run: Run,
    progress: Callable[[str], None] = lambda _: None,
    *,
    keeps_lab: bool = True,
) -> Tried:
    """Try the files on the capture. What the lab cannot do is no error: that is not checked, with the reason.

    Without `keeps_lab` the lab is removed afterwards: nobody will ask for that capture again. Raises AbsentError.
    """
    if not any(choice_of(part).sql for part in _all_parts(files, run)):
        return Tried.of()  # nothing that could change a plan
    try:
        with open_session(capture) as evidence:
            database = _required(capture, evidence)
            with build(capture, database, progress) as lab:
                tried = _tried(lab, evidence, files, run, progress)
            if not keeps_lab:
                remove_labs({lab.folder.name})
            return tried
    except AbsentError:
        raise
    except QueryfitError as error:
        return missed(error)


def missed(error: QueryfitError) -> Tried:
    """Nothing was tried, for that reason."""
    reason = f"the migrations were not tried in the lab: {error.message}"
    return Tried.of(not_checked=[NotChecked(rule, None, reason, error.hint) for rule in RULES])


def _all_parts(files: Sequence[MigrationFile], run: Run) -> Iterator[Part]:
    for group in dict.fromkeys(file.group for file in files):
        parts = parts_of(files, run.steps, run.effects, group)
        if any(part.file.is_linted for part in parts):
            yield from parts


def _required(capture: Capture, evidence: Evidence) -> str:
    """The database of the capture. Raises AbsentError where something is not there that a trial needs."""
    try:
        programs_for(captured_major(capture))
    except QueryfitError as error:
        raise AbsentError(error.message, hint=error.hint) from error
    names = [str(name) for (name,) in evidence.query("select distinct database from relation order by 1").rows]
    if len(names) != 1:
        held = f"the capture holds {len(names)} databases" if names else "the capture holds no table"
        raise AbsentError(held, hint="give one of a single database: queryfit capture DSN")
    database = {"database": names[0]}
    if not evidence.query("select 1 from workload where database = $database limit 1", database).rows:
        raise AbsentError(
            "the capture holds no statements of this database",
            hint="create extension pg_stat_statements, and let some traffic come by before the capture",
        )
    return names[0]


def _tried(
    lab: Lab, evidence: Evidence, files: Sequence[MigrationFile], run: Run, progress: Callable[[str], None]
) -> Tried:
    deadline = time.monotonic() + TIME_LIMIT_S
    changes: list[PlanChange] = []
    indexes: list[NewIndex] = []
    not_checked: list[NotChecked] = []
    with lab.connect_superuser() as superuser:
        superuser.execute(MEMBERSHIP.encode())
    for group in dict.fromkeys(file.group for file in files):
        parts = parts_of(files, run.steps, run.effects, group)
        if not any(part.file.is_linted for part in parts):
            continue
        with closing(lab.connect()) as connection:
            trial = _Trial(lab, connection, evidence, parts, deadline, progress)
            try:
                trial.run()
                changes += (row for row in trial.changes if row.step in trial.linted)
                indexes += trial.indexes
            except QueryfitError as error:
                trial.miss(f"the migrations were not tried in the lab: {error.message}", error.hint)
            except psycopg.Error as error:
                trial.miss(f"the migrations were not tried in the lab: {query_error(error, is_gone=False).message}")
            finally:
                trial.end()
            not_checked += trial.not_checked
    return Tried.of(changes, indexes, not_checked)


@dataclass(slots=True)
class _Trial:
    """The trial of one group of files, on a connection of its own."""

    lab: Lab
    connection: psycopg.Connection[Any]
    evidence: Evidence
    parts: Sequence[Part]
    deadline: float
    progress: Callable[[str], None]
    changes: list[PlanChange] = field(default_factory=list)
    indexes: list[NewIndex] = field(default_factory=list)
    not_checked: list[NotChecked] = field(default_factory=list)
    _touched: set[str] = field(default_factory=set)  # tables whose files were changed
    _blurred: set[str] = field(default_factory=set)

    @property
    def linted(self) -> frozenset[int]:
        return frozenset(part.step.number for part in self.parts if part.file.is_linted)

    def miss(self, reason: str, hint: str | None = None, part: Part | None = None) -> None:
        """Say what was not checked, for the rules that would have judged it."""
        place = (part.file.name, part.step.line) if part is not None else ()
        self.not_checked += (NotChecked(rule, None, reason, hint, *place) for rule in RULES)

    def run(self) -> None:
        """Try the statements, and judge. Raises QueryfitError where nothing can be said."""
        session = Session(self.connection)
        session.run("set wal_skip_threshold = 0")
        session.run("begin")
        session.set_local(SETTINGS)
        changed = frozenset().union(
            *(part.relations for part in self.parts if choice_of(part).sql or choice_of(part).reason)
        )
        is_wide = any(part.is_wide for part in self.parts)
        probe = _catalog(self, session, ())
        family = frozenset(probe.family(changed)) | changed
        found = self._statements(session, family, is_wide=is_wide)
        if not found.statements:
            return
        catalog = _catalog(self, session, family)
        plans = Plans(session, self.deadline, {"statement_timeout": _STATEMENT_TIMEOUT})
        self.progress(f"planning {len(found.statements):,} captured statements")
        history = History(plans.of(found.statements))
        start = catalog.entries()
        blind = self._run_parts(session, catalog, plans, found, history)
        entries = catalog.entries()
        unknown = Unknown(
            blind,
            frozenset(self._blurred),
            frozenset(_new_relations(start, entries)),
            self._doubts(found),
        )
        left_out = Counter(found.left_out)
        self.changes += plan_changes(found.statements, history, unknown, left_out)
        self.indexes += new_indexes(found.statements, history, entries, unknown, is_complete=found.is_complete)
        for reason, count in left_out.most_common(MOST_REASONS):
            self.miss(f"{count:,} captured {'statement' if count == 1 else 'statements'} left out: {reason}")

    def end(self) -> None:
        """Roll back, and give the tables their files again."""
        with suppress(QueryfitError):
            session = Session(self.connection)
            if session.is_in_transaction:
                session.run("rollback")
        if self._touched:
            try:
                self.lab.reapply(sorted(self._touched))
            except psycopg.Error as error:
                raise QueryfitError(
                    "the lab could not be put back as it was", hint=f"queryfit lab remove {self.lab.folder.name}"
                ) from error

    def _statements(self, session: Session, family: frozenset[str], *, is_wide: bool) -> Found:
        relations = Relations(session)
        return captured_statements(
            self.evidence,
            self.lab.captured_database,
            relations,
            version_number=session.version_number,
            concerns=lambda reached: is_wide or reached is None or not reached.isdisjoint(family),
        )

    def _doubts(self, found: Found) -> dict[str, str]:
        doubts = {}
        for statement in found.statements:
            missing = self.lab.doubts(statement.reached or ())
            if missing:
                doubts[statement.fingerprint] = f"the lab lacks what its plan may rest on: {missing[0].sentence}"
        return doubts

    def _run_parts(
        self, session: Session, catalog: Catalog, plans: Plans, found: Found, history: History
    ) -> frozenset[str] | None:
        """Run the statements one after the other; the relations of those that were not run, null for any."""
        replanning = _Replanning(plans, found, history)
        blind: frozenset[str] | None = frozenset()
        entries = catalog.entries()
        file: MigrationFile | None = None
        for place, part in enumerate(self.parts):
            if part.file is not file:
                file = part.file
                session.run("reset search_path")  # each file has a session of its own
            choice = choice_of(part)
            if choice.reason is None and choice.sql is None:
                continue
            self.progress(f"trying {part.file.name}: {place + 1:,} of {len(self.parts):,} statements")
            reason = choice.reason
            if reason is None and time.monotonic() > self.deadline:
                reason = "the time for the trial is up"
            if reason is None and choice.sql is not None:
                reason = self._run_one(session, catalog, part, choice.sql)
            if reason is not None:
                self.miss(f"not tried in the lab from here on: {reason}", None, part)
                blind = _untried(self.parts[place:])
                break
            before, entries = entries, catalog.entries()
            names = {entry.name for entry in before.values()}  # a change of type makes indexes anew, as they were
            new = [entry for oid, entry in entries.items() if oid not in before and entry.name not in names]
            made = catalog.size([entry for entry in new if entry.table is not None])
            history.made.update({one.entry.oid: (part, one) for one in made})
            reach = part.relations | frozenset(catalog.family(part.relations))
            replanning.after(part, reach)
        replanning.finish()
        return blind

    def _run_one(self, session: Session, catalog: Catalog, part: Part, sql: str) -> str | None:
        """Run one statement on tables that take no room; why PostgreSQL refuses it, or null."""
        tables = catalog.family(part.locked)
        self._touched.update(tables)
        catalog.note_extents(tables)
        retyped = {
            effect.column_name for effect in part.effects if effect.action in {"alter column type", "set expression"}
        }
        statistics = catalog.statistics(tables, [name for name in retyped if name])
        error: QueryError | None = None
        session.run("savepoint queryfit_trial")
        with self.lab.shrunk(tables, self.connection):
            try:
                session.run(sql)
            except ServerGoneError:
                raise
            except QueryError as refused:
                error = refused
                session.run("rollback to savepoint queryfit_trial")
        session.run("release savepoint queryfit_trial")
        if error is not None:
            return f"the lab's server refuses it: {error.message}"
        catalog.settle(catalog.entries(), tables)
        if retyped and not (statistics and catalog.restore(statistics)):
            self._blurred.update(part.relations)
        return None


@dataclass(slots=True)
class _Replanning:
    """Plans the statements again that a step may concern: at once, or in the end where that would take too long."""

    plans: Plans
    found: Found
    history: History
    spent_s: float = 0.0
    late: dict[str, Part] = field(default_factory=dict)  # by fingerprint, the last statement that concerns it

    def after(self, part: Part, relations: frozenset[str]) -> None:
        """A statement of the migration has run that changed these relations."""
        concerned = [
            statement
            for statement in self.found.statements
            if part.is_wide or statement.reached is None or not statement.reached.isdisjoint(relations)
        ]
        if self.spent_s > STEPWISE_S:
            self.late.update((statement.fingerprint, part) for statement in concerned)
        elif concerned:
            began = time.monotonic()
            self.history.after.append((part, self.plans.of(concerned)))
            self.spent_s += time.monotonic() - began

    def finish(self) -> None:
        """All have run."""
        for number in sorted({part.step.number for part in self.late.values()}):
            waiting = [
                statement
                for statement in self.found.statements
                if statement.fingerprint in self.late and self.late[statement.fingerprint].step.number == number
            ]
            self.history.after.append((self.late[waiting[0].fingerprint], self.plans.of(waiting)))


def _catalog(trial: _Trial, session: Session, relations: Sequence[str] | frozenset[str]) -> Catalog:
    facts = tables_of(trial.evidence, trial.lab.captured_database, relations) if relations else {}
    return Catalog(trial.lab, trial.connection, session, facts)


def _new_relations(before: dict[int, Entry], after: dict[int, Entry]) -> Iterator[str]:
    """Tables that the migration makes; a partition of one that was there is none of them."""
    for oid, entry in after.items():
        if oid not in before and entry.kind in _NEW_RELATIONS and entry.root not in before:
            yield entry.name


def _untried(parts: Sequence[Part]) -> frozenset[str] | None:
    """What the statements that were not run may change; null for anything."""
    for part in parts:
        choice = choice_of(part)
        if (choice.sql or choice.reason) and (part.is_wide or choice.reason is not None or not part.effects):
            return None
    return frozenset().union(*(part.relations for part in parts))
