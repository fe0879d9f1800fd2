"""A trace beside the model: what each statement really did, and where the model said something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from queryfit.errors import QueryfitError
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.steps import Effect, Step
from queryfit.migrations.trace.agree import Disagreement, agree
from queryfit.migrations.trace.observed import Observed
from queryfit.migrations.trace.tracing import Trace, trace

# what the model takes to be there where no migration made it, a server misses
_MISSING = ("42P01", "42703", "42704", "3F000", "42883")


@dataclass(frozen=True, slots=True)
class Traced:
    """One statement of a linted file as it ran, and on what the model differs."""

    file: str
    observed: Observed
    disagreements: Sequence[Disagreement]

    @property
    def is_failed(self) -> bool:
        return self.observed.error is not None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole trace; `notes` are sentences about what kept it from being whole."""

    version: int
    statements: Sequence[Traced]
    notes: Sequence[str]

    def confirms(self, file: str, step: Step, effect: Effect | None) -> bool:
        """Whether the server really did to the relation what the effect says; without one, refused the statement."""
        for traced in self.statements:
            seen = traced.observed
            if traced.file == file and seen.start <= step.start < max(seen.end, seen.start + 1):
                return seen.is_run and (_did(seen, effect) if effect is not None else seen.error is not None)
        return False


def compare(
    files: Sequence[MigrationFile],
    *,
    dsn: str | None = None,
    is_used_allowed: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Run the migrations for real, in their order, and compare. Raises QueryfitError.

    Files of each group run in a database of their own; a named database (`dsn`) takes one group.
    """
    groups: dict[int, list[MigrationFile]] = defaultdict(list)
    for file in files:
        groups[file.group].append(structs.replace(file, group=0))
    linted = {number: group for number, group in groups.items() if any(file.is_linted for file in group)}
    if dsn is not None and len(linted) > 1:
        raise QueryfitError(
            f"{len(linted)} folders of migrations would run in the one database of --trace-dsn",
            hint="name the migrations of one folder",
        )
    statements: list[Traced] = []
    notes: list[str] = []
    version = 0
    for group in linted.values():
        first = next(place for place, file in enumerate(group) if file.is_linted)
        history, rest = group[:first], group[first:]
        ran = trace(history, rest, dsn=dsn, is_used_allowed=is_used_allowed, progress=progress)
        version = ran.version
        statements += _compared(group, rest, ran)
        notes += _notes(ran)
    return Comparison(version, statements, notes)


def _compared(group: Sequence[MigrationFile], rest: Sequence[MigrationFile], ran: Trace) -> Iterator[Traced]:
    run = replay(group, version=ran.version)
    offset = len(group) - len(rest)
    by_file: dict[int, list[Step]] = defaultdict(list)
    for step in run.steps:
        by_file[step.file].append(step)
    effects = _by_step(run)
    for seen in ran.observed:
        file = rest[seen.file]
        if not file.is_linted:
            continue
        steps = [
            step for step in by_file[seen.file + offset] if seen.start <= step.start < max(seen.end, seen.start + 1)
        ]
        found: list[Disagreement] = []
        if steps and not (seen.error is not None and seen.error.sqlstate in _MISSING):
            found = agree(steps, [effect for step in steps for effect in effects[step.number]], seen)
        yield Traced(file.name, replace(seen, line=steps[0].line if steps else seen.line), found)


def _by_step(run: Run) -> Mapping[int, list[Effect]]:
    effects: dict[int, list[Effect]] = defaultdict(list)
    for effect in run.effects:
        effects[effect.step].append(effect)
    return effects


def _notes(ran: Trace) -> Iterator[str]:
    for name, failure in ran.unfollowed:
        yield f"{name}: an earlier migration did not run: {failure.message}"
    for table, reason in sorted(ran.unfilled.items()):
        yield f"{table} stayed empty, so that work on it does not show: {reason}"


def _did(seen: Observed, effect: Effect) -> bool:
    name = effect.relation
    if name is None or seen.error is not None:
        return False
    work = [
        (effect.is_rewrite, name in seen.rewritten),
        (effect.is_index_build, name in seen.built.values()),
        (effect.is_index_rebuild, name in seen.rebuilt.values()),
        (effect.is_scan, name in seen.scanned),
    ]
    if any(said for said, _ in work):
        return any(said and was for said, was in work)
    return effect.lock_level > 0 and seen.locks.get(name, 0) >= effect.lock_level
