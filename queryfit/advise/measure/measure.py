"""Measured proof: a set of indexes made on a clone, statements run without and with it in turn, and nothing left.

Only called when a person asks for it and names the server (`advise --measure DSN`). What may be run is decided by
`runnable`, whether this server may be used by `measure_server`, how the set is made and hidden by `switches`, the runs
by `alternation`, and what happens after a crash by `left_overs`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from queryfit.advise.measure.alternation import Runner, StopError, alternate, plan_both
from queryfit.advise.measure.left_overs import clean, drop_left_overs
from queryfit.advise.measure.measured import (
    Interval,
    Manner,
    Measured,
    Options,
    Outcome,
    Side,
    Trial,
    Withdrawn,
    trials_of,
)
from queryfit.advise.measure.server import Session, decide
from queryfit.advise.measure.switches import switch
from queryfit.advise.model import Skipped
from queryfit.errors import QueryfitError
from queryfit.lab.planner import Index
from queryfit.words import duration

__all__ = ["Interval", "Measured", "Options", "Outcome", "Side", "Trial", "clean", "measure", "trials_of"]

_LEAST_VISIBLE = 0.5
_SMALL_PAGES = 100
_MS = 1000

_TABLES = """
select format('%I.%I', n.nspname, c.relname) as name, c.relpages, c.reltuples::float8 as rows, c.relallvisible,
    (select string_agg(x.relname, ', ' order by x.relname)
     from pg_index as i join pg_class as x on x.oid = i.indexrelid
     where i.indrelid = c.oid and not i.indisvalid and x.relkind = 'i') as invalid
from unnest($1::text[]) as wanted (name)
join pg_class as c on c.oid = to_regclass(wanted.name)
join pg_namespace as n on n.oid = c.relnamespace
"""


def measure(
    dsn: str | None,
    indexes: Sequence[tuple[str, Index]],
    removals: Sequence[str],
    trials: Sequence[Trial],
    options: Options | None = None,
    *,
    replaced: Mapping[str, Collection[str]] | None = None,
) -> Measured:
    """Run statements without and with a set of indexes on the server that a person named for this.

    `indexes` are named as in the set (on the server they get names of their own), `removals` are existing indexes,
    schema.name as SQL writes it, that the set does without; `replaced` tells which of them an index of the set stands
    in for. With `options.most_slower` the clock corrects the planner's choice: indexes that a statement gets slower by
    are withdrawn, those that saved least first, until none is slower than that.

    Raises QueryfitError where the server looks like one in use, is a standby, stands behind a pooler, is measured
    already, or where none of the indexes can be built.
    """
    options = options or Options()
    start = time.monotonic()
    deadline = start + options.total_s
    with Session.open(dsn) as session:
        for name in drop_left_overs(session):
            options.tell(f"Dropped {name}, left by a measurement that was killed.")
        manner = decide(session, options)
        if manner == "concurrent" and options.is_writing:
            raise QueryfitError(
                "statements that write are not run beside other sessions, even if they are rolled back",
                hint="measure without --measure-writes, or on a server of your own",
            )
        notes = _notes(session, {index.relation for _, index in indexes})
        with switch(session, manner, dsn) as made:
            runner = Runner(session, made, options, deadline)
            kept, skipped = runner.runnable(trials)
            _announce(session, manner, options, indexes=len(indexes), trials=(len(kept), len(trials)))
            made.build(indexes, deadline=deadline, tell=options.tell)
            not_hidden = made.find(removals)
            hidden = [name for name in removals if name not in not_hidden]
            if not made.built and not hidden:
                reason = made.refused[0][1] if made.refused else "there are none"
                raise QueryfitError(
                    f"no index of the set can be measured here: {reason}",
                    hint="is this a copy of the database that the advice is for, and does the role own its tables?",
                )
            runs = _Measurement(runner, hidden, replaced or {})
            runs.run(kept)
            runs.withdraw()
        notes += made.notes
    if session.standbys:
        notes.append(f"The WAL of the index builds went to {session.standbys} standby or subscriber.")
    if session.archive_mode != "off":
        notes.append("This server archives its WAL, that of the index builds too.")
    return Measured(
        manner=manner,
        outcomes=tuple(runs.outcomes),
        unchanged=tuple(runs.unchanged),
        skipped=(*skipped, *runs.skipped),
        built=tuple(made.built),
        not_built=tuple(made.refused),
        hidden=tuple(hidden),
        not_hidden=tuple(not_hidden.items()),
        notes=tuple(notes),
        seconds=time.monotonic() - start,
        is_complete=runs.stopped is None,
        withdrawn=tuple(runs.withdrawn),
        restored=tuple(sorted(runs.restored)),
    )


class _Measurement:
    """The statements of one measurement, as far as they have been run."""

    def __init__(self, runner: Runner, removals: Collection[str], replaced: Mapping[str, Collection[str]]) -> None:
        self.runner = runner
        self.replaced = replaced
        self.before = {built.name for built in runner.switch.built}  # what each side does without
        self.after = set(removals)
        self.withdrawn: list[Withdrawn] = []
        self.restored: set[str] = set()
        self.outcomes: list[Outcome] = []
        self.unchanged: list[Trial] = []
        self.skipped: list[Skipped] = []
        self.settled: set[Trial] = set()  # whose last runs were as many as a doubt asks for
        self.stopped: str | None = None  # why not all could be run

    def run(self, trials: Sequence[Trial]) -> None:
        """Plan all, run those whose plans the set changes, the heaviest first, and the controls."""
        options = self.runner.options
        plans = plan_both(self.runner, trials, before=self.before, after=self.after)
        self.skipped += plans.skipped
        count = len(plans.unchanged) if options.is_unchanged_run else options.controls
        controls = plans.unchanged[:count]
        self.unchanged = plans.unchanged[count:]
        options.tell(
            f"{len(plans.changed)} statements plan differently with the set and are run, "
            f"{len(controls)} of {len(plans.unchanged)} others as controls."
        )
        for number, trial in enumerate([*plans.changed, *controls]):
            self._one(trial, is_control=number >= len(plans.changed))

    def withdraw(self) -> None:
        """Do without indexes of the set until no statement is slower than it may be, or none can be blamed."""
        most = self.runner.options.most_slower
        if most is None:
            return
        while slower := self._slower(most):
            worst = max(slower, key=lambda one: (one.ratio, one.trial.fingerprint))
            name = min(self._blamed(worst), key=lambda blamed: (self._saved_by(blamed), blamed))
            self.withdrawn.append(Withdrawn(name, worst.trial.fingerprint, worst.ratio))
            self.runner.options.tell(
                f"Withdrew {name}: {worst.trial.fingerprint} takes {worst.ratio:.2f} times as long."
            )
            self._do_without(name)
        for entry in self.withdrawn[:-1]:  # with the last one, something is too slow
            if self.stopped is None:
                self._readmit(entry, most)

    def _slower(self, most: float) -> list[Outcome]:
        """What is slower than it may be, and could do without an index of the set."""
        if self.stopped is None:
            self._settle(most)
        if self.stopped is not None:
            return []
        return [one for one in self.outcomes if one.is_slower and one.ratio > 1 + most and self._blamed(one)]

    def _readmit(self, entry: Withdrawn, most: float) -> None:
        """Take an index back that was withdrawn in vain, since another one was to blame."""
        others = {name for other in self.withdrawn if other is not entry for name in self.replaced.get(other.name, ())}
        replaced = set(self.replaced.get(entry.name, ())) & self.restored - others
        kept = (self.after, self.restored, self.outcomes, self.unchanged, self.skipped, set(self.settled))
        after = self.after - {entry.name} | replaced
        trials = [outcome.trial for outcome in self.outcomes if not outcome.is_control] + self.unchanged
        self._turn(after, plan_both(self.runner, trials, before=self.after, after=after).changed)
        self.restored = self.restored - replaced
        if self._slower(most) or self.stopped is not None:
            self.after, self.restored, self.outcomes, self.unchanged, self.skipped, self.settled = kept
            return
        self.withdrawn.remove(entry)
        self.runner.options.tell(f"Took {entry.name} back: {entry.fingerprint} was no faster without it.")

    def _settle(self, most: float) -> None:
        """Run again, more often, what a few runs say is too slow without being sure of it; only the new runs count."""
        for place, outcome in enumerate(self.outcomes):
            if outcome.ratio <= 1 + most or outcome.is_slower or outcome.is_control or outcome.trial in self.settled:
                continue
            self.settled.add(outcome.trial)
            found = self._alternated(outcome.trial, is_control=False, rounds=self.runner.options.doubt_rounds)
            if isinstance(found, Outcome):
                self.outcomes[place] = found

    def _blamed(self, outcome: Outcome) -> set[str]:
        """Indexes of the set that its plan uses: a statement that only writes to them uses none."""
        if outcome.is_control:
            return set()
        return {name for name in outcome.after.indexes - outcome.before.indexes if name in self.before - self.after}

    def _saved_by(self, name: str) -> float:
        """What the statements whose plans use an index save, in ms."""
        return sum(
            outcome.trial.weight * (outcome.before.median_ms - outcome.after.median_ms)
            for outcome in self.outcomes
            if name in outcome.after.indexes
        )

    def _do_without(self, name: str) -> None:
        """Hide an index of the set and run again what it made a difference to."""
        back = set(self.replaced.get(name, ())) & self.after
        self.restored = self.restored | back
        shown = {name, *(one.rpartition(".")[2] for one in back)}  # plans name indexes without their schema
        again = [one.trial for one in self.outcomes if shown & (one.after.indexes | one.before.indexes)]
        self._turn(self.after - back | {name}, again)

    def _turn(self, after: set[str], trials: Sequence[Trial]) -> None:
        """Do without other indexes than before, and run again the statements for which that makes a difference."""
        again = set(trials)
        self.after = after
        self.settled -= again
        plans = plan_both(self.runner, trials, before=self.before, after=after)
        self.outcomes = [outcome for outcome in self.outcomes if outcome.trial not in again]
        self.unchanged = [*(trial for trial in self.unchanged if trial not in again), *plans.unchanged]
        self.skipped = [*self.skipped, *plans.skipped]
        for trial in plans.changed:
            self._one(trial, is_control=False)

    def _one(self, trial: Trial, *, is_control: bool) -> None:
        found = self._alternated(trial, is_control=is_control)
        if isinstance(found, Skipped):
            self.skipped.append(found)
        else:
            self.outcomes.append(found)

    def _alternated(self, trial: Trial, *, is_control: bool, rounds: int | None = None) -> Outcome | Skipped:
        if self.stopped is not None:
            return Skipped(trial.fingerprint, self.stopped)
        runner = self.runner
        try:
            runner.check()
            found = alternate(runner, trial, before=self.before, after=self.after, is_control=is_control, rounds=rounds)
        except StopError as stop:
            self.stopped = str(stop)
            runner.options.tell(f"Stopped: {self.stopped}.")
            return Skipped(trial.fingerprint, self.stopped)
        if isinstance(found, Outcome):
            runner.options.tell(
                f"{trial.fingerprint}: {duration(found.before.median_ms)} → {duration(found.after.median_ms)}"
            )
        return found


def _announce(session: Session, manner: Manner, options: Options, *, indexes: int, trials: tuple[int, int]) -> None:
    how = (
        "in one transaction that is rolled back: nothing stays, also if this process is killed; other sessions cannot "
        "use these tables meanwhile, and when one wants to, the measurement ends"
        if manner == "transaction"
        else "concurrently, since other sessions work there, and drops them at the end; if this process is killed, "
        "another one drops them"
    )
    writes = "INSERT, UPDATE and DELETE are run and rolled back" if options.is_writing else "none that writes"
    options.tell(f"Creates {indexes} indexes in {session.place}, {how}.")
    options.tell(
        f"Plans {trials[0]} of {trials[1]} statements with and without them, and runs those whose plan changes up to "
        f"{options.most_rounds + 1} times each way ({writes}), at most {duration(options.run_s * _MS)} a run and "
        f"{duration(options.total_s * _MS)} in all."
    )


def _notes(session: Session, relations: Collection[str]) -> list[str]:
    notes: list[str] = []
    for row in session.run(_TABLES, (sorted(relations),)):
        if row["rows"] < 0 or (row["rows"] == 0 and row["relpages"] > 0):
            notes.append(f"{row['name']} was never analyzed here: its plans rest on guesses. Analyze the clone first.")
        elif row["relpages"] > _SMALL_PAGES and row["relallvisible"] < _LEAST_VISIBLE * row["relpages"]:
            notes.append(
                f"{row['name']} was not vacuumed lately: index-only scans read the table here. Vacuum the clone first."
            )
        if row["invalid"]:
            notes.append(f"{row['name']} has invalid indexes ({row['invalid']}), which cost writes and serve no query.")
    return notes
