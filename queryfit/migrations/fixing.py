"""`lint --fix`: repairs applied to files, tried until they lint clean, and written only then.

A repair stays only if judging the mended files says that it helped: the finding is gone and nothing new is said.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from queryfit.errors import QueryfitError
from queryfit.migrations import runners
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.following import Following, following
from queryfit.migrations.masking import mask
from queryfit.migrations.repairs import REPAIRS, Repair, Site, ended
from queryfit.migrations.replay import Run
from queryfit.migrations.steps import Effect, Step

_PASSES = 6
_END_OF_TRANSACTION = re.compile(r"(?:commit|end)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Planned:
    """A finding that a repair can mend."""

    finding: str  # its id
    rule: str
    repair: str
    step: Step
    effect: Effect | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What judging some files said: by file and rule, what stands against them, and what can be mended."""

    faults: frozenset[tuple[str, str, str]]  # file, rule, subject
    planned: Sequence[Planned]
    run: Run


@dataclass(frozen=True, slots=True)
class Change:
    """A file as it was and as it shall be; `before` is null for one that is new."""

    path: Path
    name: str
    before: str | None
    after: str


@dataclass(slots=True)
class Outcome:
    """All changes, how many findings they mend, and why others could not be mended."""

    changes: list[Change] = field(default_factory=list)
    mended: int = 0
    left: list[str] = field(default_factory=list)  # sentences


def mend(
    files: Sequence[MigrationFile], judge: Callable[[Sequence[MigrationFile]], Judged], *, version: int
) -> Outcome:
    """Mend what can be mended mechanically. Nothing is written; `judge` says what is wrong with some files."""
    outcome = Outcome()
    present = list(files)
    given_up: set[str] = set()
    first = judged = judge(present)
    for _ in range(_PASSES):
        by_file: dict[int, list[Planned]] = defaultdict(list)
        for planned in judged.planned:
            if planned.finding not in given_up and _may_change(present[planned.step.file], outcome, given_up, planned):
                by_file[planned.step.file].append(planned)
        if not by_file:
            break
        tried = present
        for place in sorted(by_file, reverse=True):
            mended = _mended(place, present, judged.run, by_file[place], version)
            if isinstance(mended, str):
                _give_up(outcome, given_up, by_file[place], f"{present[place].name}: {mended}")
                continue
            candidate = [*tried[:place], *mended, *tried[place + 1 :]]
            after = judge(candidate)
            wanted = {(present[place].name, planned.rule) for planned in by_file[place]}
            if _helped(judged.faults, after.faults, wanted):
                tried = candidate
            else:
                rules = ", ".join(sorted({planned.rule for planned in by_file[place]}))
                _give_up(
                    outcome, given_up, by_file[place], f"{present[place].name}: the repair of {rules} does not fit here"
                )
        if tried is present:
            continue
        present = tried
        judged = judge(present)
    outcome.mended = len(first.faults - judged.faults)
    outcome.changes = list(_changes(files, present))
    return outcome


def _may_change(file: MigrationFile, outcome: Outcome, given_up: set[str], planned: Planned) -> bool:
    reason = None
    if file.is_applied:
        reason = f"{file.name} has been applied: it is not rewritten; mend it by a new migration"
    elif planned.step.is_nested:
        reason = f"{file.name}:{planned.step.line}: inside a DO block nothing is rewritten"
    if reason:
        _give_up(outcome, given_up, [planned], reason)
    return reason is None


def _give_up(outcome: Outcome, given_up: set[str], planned: Iterable[Planned], reason: str) -> None:
    given_up.update(one.finding for one in planned)
    if reason not in outcome.left:
        outcome.left.append(reason)


def _helped(
    before: frozenset[tuple[str, str, str]], after: frozenset[tuple[str, str, str]], wanted: set[tuple[str, str]]
) -> bool:
    """Fewer faults, of the rules that were to be mended; what is new would be the repair's fault."""
    gone = {(file, rule) for file, rule, _ in before - after}
    return bool(gone & wanted) and not {(rule, subject) for _, rule, subject in after - before} - {
        (rule, subject) for _, rule, subject in before
    }


def _mended(
    place: int, files: Sequence[MigrationFile], run: Run, planned: Sequence[Planned], version: int
) -> list[MigrationFile] | str:
    """The file with one repair for each of its statements, and the files that follow it; or why not."""
    file = files[place]
    edits: list[tuple[int, int, str]] = []
    later: list[tuple[str, bool]] = []
    by_step: dict[int, list[Planned]] = defaultdict(list)
    for one in planned:
        by_step[one.step.number].append(one)
    for group in by_step.values():
        step = group[0].step
        # one kind of repair a statement and pass: the next pass sees the statement that it leaves
        kind = min((one.repair for one in group), key=list(REPAIRS).index)
        effects = [one.effect for one in group if one.repair == kind and one.effect is not None]
        source = file.text[step.start : step.end]
        repair = REPAIRS[kind](Site(source, step, effects, version))
        if repair is None:
            return f"line {step.line}: the repair {kind} does not fit this statement"
        edits.append(_replacement(file.text, step, repair))
        if repair.afterwards:
            behind = _behind_commit(file.text, run, step, place)
            if behind is not None:
                edits.append((behind, behind, "".join(f"\n{ended(part)}" for part in repair.afterwards)))
            else:
                later += [(part, repair.refuses_transaction) for part in repair.afterwards]
    text = file.text
    for start, end, new in sorted(edits, key=lambda edit: (edit[0], edit[1]), reverse=True):
        text = text[:start] + new + text[end:]
    mended = [with_text(file, text)]
    if later:
        created = following(file, later, {other.path for other in files if other.path})
        if isinstance(created, str):
            return created
        mended += [_created(file, one) for one in created]
    if not mended[0].sql.strip() and len(mended) > 1:
        # nothing is left of it: what it said stands in the next file
        return "all of it would move to a file of its own; switch the runner's transaction off for it instead"
    return mended


def _created(file: MigrationFile, one: Following) -> MigrationFile:
    folder = file.name.rpartition("/")[0]
    if one.is_folder:
        folder = folder.rpartition("/")[0]
    base = one.path.relative_to(one.root).as_posix()
    like = replace(
        file,
        path=one.path,
        name=f"{folder}/{base}" if folder else base,
        transactions=one.transactions,
        is_linted=one.is_run,
        version=None,
    )
    return with_text(like, one.text) if one.is_run else replace(like, text=one.text, sql="")


def with_text(file: MigrationFile, text: str) -> MigrationFile:
    """The file with another text, of which its runner sends as much as before."""
    sql = text
    if runners.has_sections(file.runner):
        sql = runners.fill(file.runner, runners.sections(file.runner, sql, downs=file.is_down), [])
    sql, _ = mask(sql, is_psql=runners.RUNNERS[file.runner].is_psql, is_flyway=file.runner == "flyway")
    return replace(file, text=text, sql=sql)


def _replacement(text: str, step: Step, repair: Repair) -> tuple[int, int, str]:
    """The edit that puts the repaired statement in its place; the line goes where nothing is left."""
    if repair.replacement:
        return step.start, step.end, repair.replacement
    end = step.end
    while end < len(text) and text[end] in " \t":
        end += 1
    if end < len(text) and text[end] == ";":
        end += 1
    if text[end : end + 1] == "\n" and text[: step.start].endswith("\n"):
        end += 1
    return step.start, end, ""


def _behind_commit(text: str, run: Run, step: Step, place: int) -> int | None:
    """Where in the file what runs after the commit of this one can stand; None where there is no place."""
    last = step
    if step.transaction is not None:
        ends = (
            other
            for other in run.steps
            if other.file == place
            and other.number > step.number
            and other.kind == "TransactionStmt"
            and other.transaction == step.transaction
            and _END_OF_TRANSACTION.match(text, other.start)
        )
        found = next(ends, None)
        if found is None:
            return None
        last = found
    end = last.end
    while end < len(text) and text[end] in " \t\n":
        end += 1
    return end + 1 if text[end : end + 1] == ";" else last.end


def _changes(before: Sequence[MigrationFile], after: Sequence[MigrationFile]) -> Iterator[Change]:
    old = {file.path: file.text for file in before if file.path}
    for file in after:
        if file.path is not None and old.get(file.path) != file.text:
            yield Change(file.path, file.name, old.get(file.path), file.text)


def difference(changes: Iterable[Change]) -> str:
    """The changes as a unified diff."""
    parts = []
    for change in changes:
        before = (change.before or "").splitlines(keepends=True)
        lines = difflib.unified_diff(
            before,
            change.after.splitlines(keepends=True),
            "/dev/null" if change.before is None else f"a/{change.name}",
            f"b/{change.name}",
        )
        parts += [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
    return "".join(parts)


def write(changes: Iterable[Change]) -> None:
    """Write all changes, or none where one cannot be written. Raises QueryfitError."""
    written: list[tuple[Path, Path]] = []
    try:
        for change in changes:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            beside = change.path.with_name(f".{change.path.name}.queryfit")
            written.append((beside, change.path))
            beside.write_text(change.after, encoding="utf-8", newline="")
            if change.path.exists():
                beside.chmod(change.path.stat().st_mode)
        for beside, path in written:
            beside.replace(path)
    except OSError as error:
        for beside, _ in written:
            beside.unlink(missing_ok=True)
        raise QueryfitError(f"cannot write {error.filename or 'a file'}: {error.strerror or error}") from None
