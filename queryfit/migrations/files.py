"""Migration files: what runs of each, in which order, in which transaction."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from queryfit.errors import QueryfitError
from queryfit.migrations import runners
from queryfit.migrations.folders import Finder, Folder, readable
from queryfit.migrations.masking import Note, mask
from queryfit.migrations.runners import Transactions

__all__ = ["MAX_BYTES", "MigrationFile", "Note", "Transactions", "decode", "find_files"]

MAX_BYTES = 64 * 2**20
"""A larger file is not read: no migration is, and a parse tree takes many times the size of its text."""


class MigrationFile(Struct, frozen=True):
    """One file in the order of its history.

    `sql` has the length of `text`, so that places in one are places in the other: whatever the runner does not send
    (down migrations, psql's own commands, rows of COPY) is blanks there, line breaks stay.
    """

    location: str | None  # its path; null for standard input
    name: str  # as it is shown, with forward slashes; `-` for standard input
    text: str
    sql: str
    runner: str
    transactions: Transactions
    group: int = 0  # files of different groups do not see each other's objects
    is_linted: bool = True  # False: only part of the history
    is_applied: bool = False  # a server has it already: it must not be rewritten
    is_down: bool = False  # the way back: a file of its own, or the down section of one
    version: str | None = None  # what the runner's own table holds of it (runners.RUNNER_TABLES); null: nothing
    notes: tuple[Note, ...] = ()  # what of it could not be seen

    @property
    def path(self) -> Path | None:
        return None if self.location is None else Path(self.location)


class _Options(Struct, frozen=True):
    runner: str | None
    transactions: bool | None
    downs: bool
    changed: Collection[Path] | None


def find_files(
    paths: Sequence[Path],
    *,
    root: Path,
    history: Path | None = None,
    stdin: str | bytes | None = None,
    runner: str | None = None,
    transactions: bool | None = None,
    downs: bool = False,
    changed: Collection[Path] | None = None,
) -> list[MigrationFile]:
    """The migrations to lint and, among them, those that come before, in the order in which they run.

    Arguments:
        paths: files, folders (searched for .sql files) and `-`, which is `stdin`.
        root: names are shown relative to it.
        history: a folder of earlier migrations: all of them come first, in every group, and the folders of the linted
            files are not searched for earlier ones. Without it, they are.
        stdin: what stands on standard input.
        runner: one of runners.RUNNERS, in place of what names and texts tell.
        transactions: True: each file in a transaction; False: each statement alone; null: as its runner does.
        downs: lint the ways back, too; they run after all ways forth, the last one first.
        changed: lint only these files (resolved paths, as git.changed_since gives them); all others are applied.

    Each folder of migrations is a group of its own. Files that come after all linted ones are left out, and so are
    down migrations unless asked for. A file with a down section stands in the list twice with `downs`.
    Errors: QueryfitError for a path that is missing or unreadable, a folder without .sql files, an unknown runner.

    """
    if runner is not None and runner not in runners.RUNNERS:
        raise QueryfitError(f"no runner is called {runner!r}", hint=f"known are {', '.join(runners.RUNNERS)}")
    options = _Options(runner, transactions, downs, changed)
    finder = Finder(root)
    for path in paths:
        if str(path) != "-":
            finder.add(path)
    before = finder.all_of(history) if history is not None else None
    earlier = _Reader(before, options, 0).history() if before is not None else []
    found: list[MigrationFile] = []
    group = 0
    for folder in finder.folders:
        files = _of_folder(folder, finder, options, group, before)
        if before is not None and before.path != folder.path:
            linted = {file.path for file in files}
            found += [replace(file, group=group) for file in earlier if files and file.path not in linted]
        found += files
        group += bool(files)
    if any(str(path) == "-" for path in paths):
        found += [replace(file, group=group) for file in earlier]
        found.append(_standard_input(stdin if stdin is not None else "", options, group))
    return found


def _of_folder(
    folder: Folder, finder: Finder, options: _Options, group: int, before: Folder | None
) -> list[MigrationFile]:
    """The linted files of a folder, and those before them unless the history lies elsewhere (`before`)."""
    if options.changed is not None:
        folder.keep_linted(options.changed)
    if not folder.linted:
        return []
    if before is None or before.path == folder.path:
        finder.add_rest(folder)
        return _Reader(folder, options, group).files()
    return [file for file in _Reader(folder, options, group).files() if file.is_linted]


def decode(data: bytes) -> tuple[str, tuple[Note, ...]]:
    """A file's text, byte order mark of UTF-8 included, and what is odd about its encoding."""
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16"), (Note(1, "the file is UTF-16; PostgreSQL's tools read UTF-8"),)
        return data.decode(), ()
    except UnicodeDecodeError:
        return data.decode("latin-1"), (Note(1, "the file is not UTF-8; its bytes are taken for Latin-1"),)


def _standard_input(stdin: str | bytes, options: _Options, group: int) -> MigrationFile:
    data = stdin if isinstance(stdin, bytes) else stdin.encode(errors="surrogatepass")
    text, notes = decode(data)
    runner = options.runner or runners.runner_of_text(text) or "psql"
    transactions = _transactions(runner, text, options)
    return _file(None, "-", text, notes=notes, runner=runner, transactions=transactions, group=group)


def _transactions(
    runner: str,
    text: str,
    options: _Options,
    *,
    side_file: str | None = None,
    is_split: bool = True,
    downs: bool = False,
) -> Transactions:
    if options.transactions is not None:
        return "file" if options.transactions else "each"
    return runners.transactions_of(runner, text, side_file=side_file, is_split=is_split, downs=downs)


def _file(
    location: str | None,
    name: str,
    text: str,
    *,
    notes: tuple[Note, ...],
    runner: str,
    transactions: Transactions,
    group: int,
    is_linted: bool = True,
    is_applied: bool = False,
    is_down: bool = False,
) -> MigrationFile:
    sql, unseen = sent(runner, text, is_down=is_down)
    return MigrationFile(
        location, name, text, sql, runner, transactions, group, is_linted, is_applied, is_down,
        None if location is None else runners.version_of(runner, name), notes + unseen,
    )  # fmt: skip


def sent(runner: str, text: str, *, is_down: bool) -> tuple[str, tuple[Note, ...]]:
    """What the runner sends of a text, the rest blanks, and what of it cannot be seen here."""
    filled: list[Note] = []
    if runners.has_sections(runner):
        text = runners.fill(runner, runners.sections(runner, text, downs=is_down), filled)
    sql, unseen = mask(text, is_psql=runners.RUNNERS[runner].is_psql, is_flyway=runner == "flyway")
    return sql, (*filled, *unseen)


class _Reader:
    """Reads the files of one folder of migrations in their order."""

    def __init__(self, folder: Folder, options: _Options, group: int) -> None:
        self._folder = folder
        self._options = options
        self._group = group
        self._told = options.runner or folder.runner()
        self._runner = self._told or self._runner_of_marks() or "psql"
        self._plan = folder.plan() if self._runner == "sqitch" else {}
        self._settings = folder.flyway_settings() if self._runner == "flyway" else ""
        self._is_split = self._runner != "prisma" or folder.splits_scripts()

    def history(self) -> list[MigrationFile]:
        """Every file but the ways back, none of them linted."""
        return [self._forth(name) for name in sorted(self._ups(), key=self._place)]

    def files(self) -> list[MigrationFile]:
        """The linted files and those before them; then, where asked for, the ways back."""
        linted = self._folder.linted
        ups = self._ups()
        downs = self._downs() if self._options.downs else []
        places = {name: self._place(name) for name in {*ups, *downs}}
        chosen = [place for name, place in places.items() if name in linted]
        if not chosen:
            return []
        last = max(chosen)
        files = [self._forth(name) for name in sorted(ups, key=places.__getitem__) if places[name] <= last]
        asked = [places[name] for name in downs if name in linted]
        if asked:
            first = min(asked)
            back = [name for name in downs if first <= places[name] <= last]
            files += map(self._back, sorted(back, key=places.__getitem__, reverse=True))
        return [file for file in files if not file.is_down or file.sql.strip()]

    def _ups(self) -> list[str]:
        return [name for name in self._folder.names if not runners.is_down(self._runner, name) and self._is_in(name)]

    def _downs(self) -> list[str]:
        """Down migrations, and files that may have a down section."""
        has_sections = runners.has_sections(self._runner)
        return [
            name
            for name in self._folder.names
            if (has_sections or runners.is_down(self._runner, name)) and self._is_in(name)
        ]

    def _is_in(self, name: str) -> bool:
        return not runners.is_left_out(self._runner, name)

    def _place(self, name: str) -> tuple[object, ...]:
        """Where a file stands in the order; the name decides between equals."""
        if self._runner == "sqitch":
            change = name.partition("/")[2].removesuffix(".sql")
            return (self._plan.get(change, len(self._plan) + 10**9), change)
        return runners.order(self._runner, name)

    def _runner_of_marks(self) -> str | None:
        """The runner whose marks the first linted file bears; the order of files can hang on it."""
        names = self._folder.linted or self._folder.names
        return runners.runner_of_text(self._text(min(names))[0]) if names else None

    def _text(self, name: str) -> tuple[str, tuple[Note, ...]]:
        return decode_file(f"{self._folder.path}/{name}")

    def _forth(self, name: str) -> MigrationFile:
        return self._read(name, is_down=False)

    def _back(self, name: str) -> MigrationFile:
        return self._read(name, is_down=True)

    def _read(self, name: str, *, is_down: bool) -> MigrationFile:
        text, notes = self._text(name)
        runner = self._runner
        if self._told is None:
            runner = runners.runner_of_text(text) or runner
        is_linted = name in self._folder.linted
        transactions = _transactions(
            runner, text, self._options, side_file=self._side_file(name), is_split=self._is_split, downs=is_down
        )
        return _file(
            f"{self._folder.path}/{name}",
            readable(self._folder.shown + name),
            text,
            notes=notes,
            runner=runner,
            transactions=transactions,
            group=self._group,
            is_linted=is_linted,
            is_applied=self._options.changed is not None and not is_linted,
            is_down=is_down,
        )

    def _side_file(self, name: str) -> str | None:
        """The text of what steers this file's transaction from outside; null where there is nothing."""
        beside = f"{name.rpartition('/')[0]}/metadata.toml" if self._runner == "diesel" else f"{name}.conf"
        if beside not in self._folder.side_files:
            return self._settings or None
        return f"{decode_file(f'{self._folder.path}/{beside}')[0]}\n{self._settings}"


def decode_file(path: str) -> tuple[str, tuple[Note, ...]]:
    """The text of a file, whatever its bytes; empty for one above MAX_BYTES, with a note."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # half the calls to the system that open() takes
        try:
            size = os.fstat(file).st_size
            if size > MAX_BYTES:
                return "", (Note(1, f"the file is larger than {MAX_BYTES // 2**20} MB and was not read"),)
            parts = [os.read(file, size + 1)]
            while parts[-1] and len(parts[0]) != size:  # it grows, or is a pipe
                parts.append(os.read(file, 2**20))
        finally:
            os.close(file)
        return decode(b"".join(parts))
    except OSError as error:
        hint = "give the account that runs queryfit the right to read it"
        raise QueryfitError(f"{readable(path)}: {error.strerror}", hint=hint) from error
