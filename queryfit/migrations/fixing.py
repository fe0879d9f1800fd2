"""`lint --fix`: repairs applied to files, tried until they lint clean, and written only then.

A repair stays only if judging the mended files says that it helped: the finding is gone and nothing new is said.
"""

from __future__ import annotations

import difflib
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from queryfit.errors import QueryfitError
from queryfit.migrations import runners
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.following import Following, alone, following
from queryfit.migrations.mending import TIMEOUTS, Judged, Mended, mended, with_text
from queryfit.migrations.repairs import Planned
from queryfit.migrations.replay import Run

_PASSES = 40


@dataclass(frozen=True, slots=True)
class Change:
    """A file as it was and as it shall be; `before` is null for one that is new, `path` for standard input."""

    path: Path | None
    name: str
    before: str | None
    after: str


@dataclass(slots=True)
class Outcome:
    """All changes, how many findings they mend, and why others could not be mended."""

    files: list[MigrationFile] = field(default_factory=list)  # all of them as they shall be
    changes: list[Change] = field(default_factory=list)
    mended: int = 0
    left: list[str] = field(default_factory=list)  # sentences


Judge = Callable[[Sequence[MigrationFile]], Judged]


def mend(files: Sequence[MigrationFile], judge: Judge, *, version: int) -> Outcome:
    """Mend what can be mended mechanically. Nothing is written; `judge` says what is wrong with some files."""
    return _Mender(files, judge, version).outcome()


@dataclass(frozen=True, slots=True)
class _Try:
    """What would become of one file: it and those that follow it, for what it was done, or why it cannot be."""

    files: list[MigrationFile]
    beside: list[Following]
    planned: Sequence[Planned]


class _Mender:
    """Repairs all files at once; where that does not help a file, its statements one by one."""

    def __init__(self, files: Sequence[MigrationFile], judge: Judge, version: int) -> None:
        self._files = files
        self._judge = judge
        self._version = version
        self._present = list(files)
        self._beside: list[Following] = []
        self._created: set[Path] = set()
        self._given_up: set[str] = set()
        self._one_by_one: set[str] = set()
        self._as_read: dict[Path | None, bool] = {}
        self._outcome = Outcome()

    def outcome(self) -> Outcome:
        first = judged = self._judge(self._present)
        for _ in range(_PASSES):
            so_far = len(self._given_up), len(self._one_by_one)
            tries = self._tries(judged)
            if tries:
                judged = self._best(judged, tries)
            elif so_far == (len(self._given_up), len(self._one_by_one)):
                break
        self._outcome.mended = max(len(first.faults) - len(judged.faults), len(first.faults - judged.faults))
        self._outcome.files = self._present
        self._outcome.changes = list(self._changes())
        return self._outcome

    def _tries(self, judged: Judged) -> dict[int, _Try]:
        """By the place of a file, what would be done with it. What cannot be mended is given up here."""
        by_file: dict[int, list[Planned]] = defaultdict(list)
        for planned in judged.planned:
            if planned.finding not in self._given_up and self._may_change(planned):
                by_file[planned.step.file].append(planned)
        tries: dict[int, _Try] = {}
        paths: set[Path | None] = set()
        for place, every in by_file.items():
            file = self._present[place]
            if file.path is not None and file.path in paths:
                continue  # its way forth and its way back are one text: one after the other
            # the timeout comes last, when it is known what is built CONCURRENTLY
            chosen = [one for one in every if one.repair not in TIMEOUTS] or every
            if file.name in self._one_by_one:
                step = min(one.step.number for one in chosen)
                kind = next(one.repair for one in chosen if one.step.number == step)
                chosen = [one for one in chosen if one.step.number == step and one.repair == kind]
            found = self._try(place, judged.run, chosen)
            if isinstance(found, str):
                self._reject(place, chosen, found)
            else:
                tries[place] = found
                paths.add(file.path)
        return tries

    def _try(self, place: int, run: Run, planned: Sequence[Planned]) -> _Try | str:
        made = mended(place, self._present, run, planned, self._version)
        if isinstance(made, str):
            return made
        if not made.later:
            return _Try([made.file], [], planned)
        switched = self._switched(place, run, planned) if made.later[0].refuses_transaction else None
        if switched is not None:
            made, beside = switched
        elif not made.file.sql.strip().strip(";"):
            return "all of it would move to a file of its own; switch the runner's transaction off for it instead"
        else:
            beside = []
        return self._with_followers(made, beside, planned)

    def _switched(self, place: int, run: Run, planned: Sequence[Planned]) -> tuple[Mended, list[Following]] | None:
        """The file without its runner's transaction, where nothing needs it: each of its statements is mended."""
        file = self._present[place]
        steps = {step.number for step in run.steps if step.file == place and not step.is_nested}
        is_batch = runners.RUNNERS[file.runner].outside == "batch"
        if steps - {one.step.number for one in planned} or file.transactions != "file" or (is_batch and len(steps) > 1):
            return None
        made = mended(place, self._present, run, planned, self._version, is_alone=True)
        switched = alone(file, made.file.text) if isinstance(made, Mended) else None
        if isinstance(made, str) or switched is None:
            return None
        text, beside = switched
        if beside and beside[0].path.exists():
            return None
        new = with_text(file, text)
        if beside:
            new = replace(new, transactions=runners.RUNNERS[file.runner].outside)
        return Mended(new, made.later), beside

    def _with_followers(self, made: Mended, beside: list[Following], planned: Sequence[Planned]) -> _Try | str:
        created = following(made.file, made.later, self._created) if made.later else []
        if isinstance(created, str):
            return created
        if any(one.path.exists() for one in created):
            return f"{created[0].path.name} is there already"
        files = [_created(made.file, one) for one in created if one.is_run]
        return _Try([made.file, *files], beside + [one for one in created if not one.is_run], planned)

    def _best(self, judged: Judged, tries: dict[int, _Try]) -> Judged:
        """Take over all tries that help; a file whose try does not help is taken apart, or given up."""
        while tries:
            candidate = self._with(tries)
            after = self._judge(candidate)
            blamed = self._blamed(judged, after, tries)
            if not blamed:
                self._present = candidate
                for one in tries.values():
                    self._beside += one.beside
                    self._created.update(file.path for file in one.files[1:] if file.path is not None)
                return after
            for place in blamed:
                self._reject(place, tries.pop(place).planned, None)
        return judged

    def _blamed(self, before: Judged, after: Judged, tries: dict[int, _Try]) -> set[int]:
        """The files whose repair does not help: their findings stay, or new ones come."""
        known = {(rule, subject) for _, rule, subject in before.faults}
        # a statement that moved asks for its timeout later
        new = {fault for fault in after.faults if fault[1:] not in known and fault[1] not in before.timeout_rules}
        gone = before.faults - after.faults
        names = {file.name: place for place, one in tries.items() for file in one.files}
        blamed = {names[file] for file, _, _ in new if file in names}
        for place, one in tries.items():
            rules = {planned.rule for planned in one.planned}
            if not any(file == one.files[0].name and rule in rules for file, rule, _ in gone):
                blamed.add(place)
        if not blamed and new:  # it shows only in a file that nobody touched
            return set(tries) if len(tries) == 1 else set(sorted(tries)[len(tries) // 2 :])
        return blamed

    def _reject(self, place: int, planned: Sequence[Planned], reason: str | None) -> None:
        """Go on with the statements of a file one by one, or give the findings up where it is only one."""
        file = self._present[place]
        if len({(one.step.number, one.repair) for one in planned}) > 1 and file.name not in self._one_by_one:
            self._one_by_one.add(file.name)
            return
        lines = sorted({one.step.line for one in planned})
        rules = ", ".join(sorted({one.rule for one in planned}))
        self._give_up(planned, f"{file.name}:{lines[0]}: {reason or f'the repair of {rules} does not fit here'}")

    def _give_up(self, planned: Iterable[Planned], reason: str) -> None:
        self._given_up.update(one.finding for one in planned)
        if reason not in self._outcome.left:
            self._outcome.left.append(reason)

    def _may_change(self, planned: Planned) -> bool:
        file = self._present[planned.step.file]
        reason = None
        if file.is_applied:
            reason = f"{file.name} has been applied: it is not rewritten; mend it by a new migration"
        elif file.path not in self._created and not self._is_as_read(file):
            reason = f"{file.name} is not UTF-8, or was changed meanwhile: it is left as it is"
        elif planned.step.is_nested and planned.repair not in TIMEOUTS:
            reason = f"{file.name}:{planned.step.line}: inside a DO block nothing is rewritten"
        if reason:
            self._give_up([planned], reason)
        return reason is None

    def _is_as_read(self, file: MigrationFile) -> bool:
        if file.path not in self._as_read:
            original = next(one for one in self._files if one.path == file.path)
            self._as_read[file.path] = _is_as_read(original)
        return self._as_read[file.path]

    def _with(self, tries: dict[int, _Try]) -> list[MigrationFile]:
        """All files, with the tries in the places of the files that they change, and new ones where they run."""
        candidate: list[MigrationFile] = []
        waiting: list[MigrationFile] = []
        for place, file in enumerate(self._present):
            if waiting and (file.group != waiting[0].group or file.path not in self._created):
                candidate += waiting
                waiting = []
            changed = tries.get(place)
            if changed is None:
                same = next(
                    (one.files[0] for one in tries.values() if file.path and one.files[0].path == file.path), None
                )
                candidate.append(with_text(file, same.text) if same is not None else file)
                continue
            first, *more = changed.files
            candidate.append(first)
            waiting += more
        return candidate + waiting

    def _changes(self) -> Iterator[Change]:
        old = {file.path: file.text for file in self._files}
        seen: set[Path | None] = set()
        for file in self._present:
            if file.path not in seen and old.get(file.path) != file.text:
                seen.add(file.path)
                yield Change(file.path, file.name, old.get(file.path), file.text)
        for one in self._beside:
            yield Change(one.path, one.path.name, None, one.text)


def _is_as_read(file: MigrationFile) -> bool:
    """The file on disk still says what was read of it, in UTF-8: it can be written back."""
    try:
        return file.path is None or file.path.read_bytes() == file.text.encode()
    except (OSError, UnicodeEncodeError):
        return False


def _created(file: MigrationFile, one: Following) -> MigrationFile:
    folder = file.name.rpartition("/")[0]
    if one.is_folder:
        folder = folder.rpartition("/")[0]
    base = one.path.relative_to(one.root).as_posix()
    like = replace(
        file, location=str(one.path), name=f"{folder}/{base}" if folder else base, transactions=one.transactions,
        version=None, notes=(),
    )  # fmt: skip
    return replace(with_text(like, one.text), transactions=one.transactions)


def difference(changes: Iterable[Change]) -> str:
    """The changes as a unified diff."""
    parts = []
    for change in changes:
        lines = difflib.unified_diff(
            _lines(change.before or ""),
            _lines(change.after),
            "/dev/null" if change.before is None else f"a/{change.name}",
            f"b/{change.name}",
        )
        parts += [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
    return "".join(parts)


def _lines(text: str) -> list[str]:
    """Lines as patch sees them: only line feeds end them."""
    return [line + "\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.rpartition("\n")[2]) else [])


def write(changes: Sequence[Change]) -> None:
    """Write all changes, or none where one cannot be written. Raises QueryfitError."""
    written: list[tuple[Path, Path]] = []
    folders: list[Path] = []
    try:
        for change in changes:
            assert change.path is not None
            path = Path(os.path.realpath(change.path))  # a link stays a link
            if not path.parent.is_dir():
                path.parent.mkdir()
                folders.append(path.parent)
            if path.exists() and not os.access(path, os.W_OK):
                raise PermissionError(13, "Permission denied", str(change.path))
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            written.append((Path(name), path))
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(change.after)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask())
        for beside, path in written:
            beside.replace(path)
    except OSError as error:
        for beside, _ in written:
            beside.unlink(missing_ok=True)
        for folder in folders:
            folder.rmdir()
        raise QueryfitError(
            f"cannot write {error.filename or 'a file'}: {error.strerror or error}",
            hint="nothing was written; --diff shows what would be",
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
