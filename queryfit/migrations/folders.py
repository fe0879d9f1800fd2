# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH118, PTH119, PTH120, PTH123 - thousands of files: os.path on strings
# takes a fifth of what Path takes
"""Folders of migrations: which files belong together, and what their surroundings say of the runner."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

from msgspec import Struct, field

from queryfit.errors import QueryfitError
from queryfit.migrations import runners

_SKIPPED = {"node_modules", "__pycache__", "venv", "target"}
_NUMBERED = re.compile(r"[vV]?[0-9]")
_STAMPED = re.compile(r"[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MIGRATIONS = {"migration", "migrations"}
_ONE_EACH = {"migration.sql", "up.sql", "down.sql"}
_SQITCH_FOLDERS = ("deploy", "revert", "verify")
_ENGINES = frozenset(
    {"mysql", "mariadb", "postgres", "postgresql", "pgsql", "pg", "h2", "hsqldb", "sqlite", "sqlite3", "oracle"}
    | {"mssql", "sqlserver", "db2", "cockroachdb"}
)
_LEVELS = 4
"""Folders looked at above one of migrations; projects keep them at most so deep."""

_PRISMA_VERSION = re.compile(r'"(?:prisma|@prisma/client)"\s*:\s*"[^0-9"]*([0-9]+)\.([0-9]+)')
_SPLITTING_PRISMA = (7, 4)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Folder(Struct):
    """A folder of migrations: what is there and what of it is to be linted. Names are relative to it, with slashes."""

    path: str  # absolute
    shown: str  # as it stands before the names of its files; empty, or ends with a slash
    names: set[str] = field(default_factory=set)
    linted: set[str] = field(default_factory=set)
    side_files: set[str] = field(default_factory=set)  # that may hold the switch of a migration's transaction
    is_whole: bool = False  # `names` are all that is there

    def keep_linted(self, changed: Collection[Path]) -> None:
        """Lint only what is in a set of resolved paths."""
        here = {str(path) for path in changed}
        real: dict[str, str] = {}
        kept = set()
        for name in self.linted:
            inner, _, base = name.rpartition("/")
            if inner not in real:
                real[inner] = os.path.realpath(os.path.join(self.path, inner))
            if os.path.join(real[inner], base) in here:
                kept.add(name)
        self.linted = kept

    def runner(self) -> str | None:
        """The runner that names and surroundings tell, null where they tell none."""
        told = runners.runner_of_folder(self.names, self.path)
        if _is_file(f"{self.path}/sqitch.plan"):
            return "sqitch"
        if told not in {None, "golang-migrate"}:
            return told
        if any(runners.is_numbered(name) for name in self.names) and "sqlx" in self._above("Cargo.toml"):
            return "sqlx"
        if told is None and _is_file(f"{self.path}/meta/_journal.json"):
            return "drizzle"
        if told is None and _is_file(f"{self.path}/atlas.sum"):
            return "atlas"
        return told

    def plan(self) -> dict[str, int]:
        """The places of sqitch's deploy scripts."""
        return runners.plan_order(_text(f"{self.path}/sqitch.plan"))

    def flyway_settings(self) -> str:
        """What the project says to Flyway in files of its own."""
        return (self._above("flyway.conf") + self._above("flyway.toml")).strip()

    def splits_scripts(self) -> bool:
        """Whether the Prisma that `package.json` asks for takes scripts apart; yes where it does not say."""
        match = _PRISMA_VERSION.search(self._above("package.json"))
        return match is None or (int(match.group(1)), int(match.group(2))) >= _SPLITTING_PRISMA

    def _above(self, name: str) -> str:
        """The texts of all files of that name in the folders above, the nearest first."""
        texts = []
        path = self.path
        for _ in range(_LEVELS):
            path = os.path.dirname(path)
            texts.append(_text(os.path.join(path, name)))
        return "\n".join(texts)


class Finder:
    """Sorts files into their folders of migrations. Errors: QueryfitError for what is missing or cannot be read."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        self._homes: dict[tuple[str, str], str] = {}
        self._folders: dict[str, Folder] = {}

    @property
    def folders(self) -> list[Folder]:
        """The folders met, in that order."""
        return list(self._folders.values())

    def add(self, given: Path) -> None:
        """Take in a file, or all SQL files below a folder, to be linted."""
        path = os.path.abspath(given)
        if not os.path.isdir(path):
            if not os.path.exists(path):
                hint = "a path is a .sql file, a folder of them, or - for standard input"
                raise QueryfitError(f"{readable(str(given))}: no such file or folder", hint=hint)
            self._add_file(path)
            return
        side_files: list[str] = []
        met = [self._add_file(f"{path}/{name}") for name in _walk(path, side_files)]
        if not met:
            hint = "name the folder that holds the migrations"
            raise QueryfitError(f"{readable(str(given))}: no .sql files there", hint=hint)
        for folder in {id(folder): folder for folder in met}.values():
            if f"{folder.path}/".startswith(f"{path}/"):
                folder.is_whole = True
                folder.side_files |= _below(folder.path, [f"{path}/{name}" for name in side_files])

    def add_rest(self, folder: Folder) -> None:
        """Find what else there is in a folder of which only some files were given."""
        if folder.is_whole:
            return
        is_deep = any("/" in name for name in folder.names) or os.path.basename(folder.path) in _MIGRATIONS
        side_files: list[str] = []
        for name in _walk(folder.path, side_files, lambda _: is_deep):
            if self._home(f"{folder.path}/{name}") == folder.path:
                folder.names.add(name)
        folder.side_files.update(side_files)
        folder.is_whole = True

    def all_of(self, given: Path) -> Folder:
        """A folder with all SQL files below it, whatever the folders in which they lie."""
        path = os.path.abspath(given)
        if not os.path.isdir(path):
            hint = "--history takes a folder of earlier migrations"
            raise QueryfitError(f"{readable(str(given))}: no such folder", hint=hint)
        side_files: list[str] = []
        folder = Folder(path, self._shown(path), is_whole=True)
        folder.names.update(_walk(path, side_files))
        folder.side_files.update(side_files)
        return folder

    def _add_file(self, path: str) -> Folder:
        home = self._home(path)
        folder = self._folders.get(home)
        if folder is None:
            folder = self._folders[home] = Folder(home, self._shown(home))
        name = path.removeprefix(home).lstrip("/")
        folder.names.add(name)
        folder.linted.add(name)
        return folder

    def _shown(self, path: str) -> str:
        if path == self._root:
            return ""
        root = self._root.rstrip("/") + "/"
        return readable(path.removeprefix(root)).rstrip("/") + "/"

    def _home(self, path: str) -> str:
        """The folder of migrations that a file belongs to: its own, or one above where a convention says so."""
        parent, base = os.path.split(path)
        kind = ""
        if base in _ONE_EACH:
            kind = base
        elif base[:1] in runners.FLYWAY_LETTERS and runners.FLYWAY_NAME.fullmatch(base):
            kind = "flyway"
        home = self._homes.get((parent, kind))
        if home is None:
            home = self._homes[parent, kind] = _home(parent, kind)
        return home


def _home(parent: str, kind: str) -> str:
    parts = parent.split("/")
    for place in range(len(parts) - 1, 0, -1):
        if parts[place] in _SQITCH_FOLDERS and _is_file("/".join([*parts[:place], "sqitch.plan"])):
            return "/".join(parts[:place])
    above = os.path.dirname(parent)
    if kind in _ONE_EACH and (
        _STAMPED.match(parts[-1])
        or (_NUMBERED.match(parts[-1]) and os.path.basename(above) in _MIGRATIONS)
        or _is_file(f"{above}/migration_lock.toml")
    ):
        return above
    for levels in range(1, min(_LEVELS, len(parts) - 1)):
        inner = parts[-levels]
        if inner.lower() in _ENGINES or (kind != "flyway" and not _NUMBERED.match(inner)):
            return parent
        if parts[-levels - 1] in _MIGRATIONS:
            return "/".join(parts[:-levels])
    return parent


def _walk(
    folder: str, side_files: list[str], enters: Callable[[str], bool] = lambda _: True, prefix: str = ""
) -> list[str]:
    """Names of the SQL files below a folder; files that may steer a transaction are added to `side_files`."""
    found: list[str] = []
    inner = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name[-4:].lower() == ".sql" and not name.startswith("."):
                    # a link is looked at by its path: one in a circle is an error of entry.is_file()
                    if entry.is_file(follow_symlinks=False) or _is_file(entry.path):
                        found.append(prefix + name)
                    continue
                if name == "metadata.toml" or name.endswith(".conf"):
                    side_files.append(prefix + name)
                elif not name.startswith(".") and name not in _SKIPPED and entry.is_dir(follow_symlinks=False):
                    inner.append(name)
    except OSError as error:
        hint = "give the account that runs queryfit the right to read it"
        raise QueryfitError(f"{readable(folder)}: {error.strerror}", hint=hint) from error
    for name in inner:
        if enters(name):
            found += _walk(f"{folder}/{name}", side_files, enters, f"{prefix}{name}/")
    return found


def _below(folder: str, paths: Collection[str]) -> set[str]:
    start = f"{folder}/"
    return {path[len(start) :] for path in paths if path.startswith(start)}


def _is_file(path: str) -> bool:
    return os.path.isfile(path)


def _text(path: str) -> str:
    """A small text file beside the migrations; empty where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(2**20)
    except OSError:
        return ""


def readable(name: str) -> str:
    """A file name that can be printed, whatever its bytes."""
    return name if name.isascii() else _SURROGATE.sub("\ufffd", name)
