"""The files after a migration, for what has to wait until that one is committed: names, and what their runner wants."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from queryfit.migrations import runners
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.repairs import Later, ended
from queryfit.migrations.runners import Transactions

_NUMBERED = re.compile(r"(V?)(\d+)([_-]+.*?|)((?:\.up)?\.sql|)", re.IGNORECASE)
_DIESEL = re.compile(r"([\d-]*?)(\d+)(_.*|)()")  # 2025-01-31-120000_words
_FLYWAY = re.compile(r"(V[0-9][0-9._]*?)(__.*)(\.sql)", re.IGNORECASE)
_FOLDERS = {"diesel", "prisma"}  # a migration is a folder
_NO_WAY_BACK = "-- Nothing to undo: the migration before this one does.\n"
# they number their migrations, and two with one number would clash
_BY_NUMBER = {"dbmate", "goose", "golang-migrate", "supabase", "sqlx", "atlas", "tern", "diesel", "prisma"}
_LISTED = {
    "sqitch": "sqitch.plan",
    "drizzle": "its journal",
    "rails": "the Rails migrations",
    "node-pg-migrate": "no switch for one file",
}
_ALONE = {
    "atlas": "-- atlas:txmode none\n\n",
    "goose": "-- +goose NO TRANSACTION\n",
    "sqlx": "-- no-transaction\n",
    "tern": "---- tern: disable-tx ----\n",
}
_SECTIONS = {
    "goose": ("-- +goose Up\n", "\n-- +goose Down\n"),
    "dbmate": ("-- migrate:up\n", "\n-- migrate:down\n"),
    "sql-migrate": ("-- +migrate Up\n", "\n-- +migrate Down\n"),
    "tern": ("", "\n---- create above / drop below ----\n\n"),
}
_ALONE_ONE_WAY = {"dbmate": ("migrate:up", "migrate:up transaction:false"),
                  "sql-migrate": ("+migrate Up", "+migrate Up notransaction")}  # fmt: skip
_MOST_TRIES = 100


@dataclass(frozen=True, slots=True)
class Following:
    """A file to create. `root` is the folder of migrations."""

    path: Path
    root: Path
    text: str
    transactions: Transactions
    is_folder: bool = False  # the migration is a folder with this file in it
    is_run: bool = True  # False: a way back, or settings


def following(file: MigrationFile, later: Sequence[Later], taken: Collection[Path]) -> list[Following] | str:
    """The files that run right after `file` with these statements, or why there can be none.

    `taken` are paths that are not to be used, such as those of files that are only planned.
    """
    if file.path is None:
        return "what has to follow after a commit needs a file of its own, and standard input has none"
    if file.runner in _LISTED:
        return f"what has to follow after a commit is a migration of its own: {file.runner} has {_LISTED[file.runner]}"
    if file.is_down:
        return "what has to follow after a commit has no place on the way back"
    if any(one.refuses_transaction for one in later) and file.runner == "psql":
        return "a statement has to run outside of a transaction, and the runner's is not known to have an exception"
    groups = list(_groups(file.runner, later))
    is_folder = file.runner in _FOLDERS and file.path.parent.name != ""
    places = _places(file, file.path.parent if is_folder else file.path, len(groups), taken)
    if isinstance(places, str):
        return places
    made: list[Following] = []
    for target, group in zip(places, groups, strict=True):
        path = target / file.path.name if is_folder else target
        root = target.parent
        made += _file(file, path, root, group, is_folder=is_folder)
    return made


def alone(file: MigrationFile, text: str) -> tuple[str, list[Following]] | None:
    """A file's text with the runner's transaction switched off for it, and what has to lie beside it.

    None where its runner has no such switch.
    """
    if file.path is None:
        return None
    end = "\r\n" if "\r\n" in text else "\n"
    if file.runner in _ALONE:
        return _ALONE[file.runner].strip("\n") + end + text, []
    if file.runner in _ALONE_ONE_WAY:
        old, new = _ALONE_ONE_WAY[file.runner]
        return text.replace(old, new, 1), []
    if file.runner == "diesel":
        return text, [_switch(file.path.parent, file.path.parent.parent)]
    if file.runner == "flyway":
        return text, _flyway_switch(file.path, text)
    return None


def _groups(runner: str, later: Sequence[Later]) -> Iterator[list[Later]]:
    """Statements of one file each."""
    each = runners.RUNNERS[runner]
    group: list[Later] = []
    for one in later:
        if group:
            is_other = group[-1].refuses_transaction != one.refuses_transaction
            is_batch = one.refuses_transaction and "batch" in {each.transactions, each.outside}
            if is_other or is_batch:
                yield group
                group = []
        group.append(one)
    if group:
        yield group


def _places(file: MigrationFile, place: Path, count: int, taken: Collection[Path]) -> list[Path] | str:
    """Names for `count` migrations that come one after the other, and before the one that comes next now."""
    no_room = f"there is no room for a migration between {place.name} and the next one"
    others = {other.name for other in place.parent.iterdir()} if place.parent.is_dir() else set()
    ends = [_key(file, name) for name in others if name.endswith(".sql") or file.runner in _FOLDERS]
    begin = _key(file, place.name)
    planned = {path.parent.name if file.runner in _FOLDERS else path.name for path in taken}
    end = min((key for key in ends if key > begin), default=None)
    found: list[Path] = []
    for number in range(1, _MOST_TRIES):
        name = _name(file.runner, place.name, number)
        if name is None:
            return no_room
        if name in planned:
            continue
        key = _key(file, name)
        if name in others or key <= begin or (end is not None and key >= end) or _clashes(file.runner, name, others):
            return no_room
        found.append(place.with_name(name))
        if len(found) == count:
            return found
    return no_room


def _key(file: MigrationFile, name: str) -> tuple[object, ...]:
    if file.runner in _FOLDERS:
        return (*runners.order(file.runner, f"{name}/up.sql"), name)
    key = runners.order(file.runner, name)
    return key if file.runner == "flyway" else (*key, name)


def _name(runner: str, name: str, number: int) -> str | None:
    """The name of the migration that comes `number` places after."""
    if runner == "flyway":
        versioned = _FLYWAY.fullmatch(name)
        if versioned is None:
            return None
        version, words, ending = versioned.groups()
        return f"{version}{'.' if '.' in version else '_'}{number}{words}_after{ending}"
    suffix = f"_after{number if number > 1 else ''}"
    found = (_DIESEL if runner == "diesel" else _NUMBERED).fullmatch(name)
    if found is None or runner not in _BY_NUMBER:
        stem, dot, ending = name.partition(".")
        return f"{stem}{suffix}{dot}{ending}"
    letter, digits, words, ending = found.groups()
    version = str(int(digits) + number).zfill(len(digits))
    return None if len(version) > len(digits) and digits[0] == "0" else f"{letter}{version}{words}{suffix}{ending}"


def _clashes(runner: str, name: str, others: Collection[str]) -> bool:
    """Another migration has the same number."""
    if runner not in _BY_NUMBER:
        return False
    number = _number(name)
    return number is not None and any(_number(other) == number for other in others)


def _number(name: str) -> int | None:
    """The number that a name begins with; dashes, as Diesel has them in moments, are no part of it."""
    digits = re.sub(r"^[Vv]", "", name).partition("_")[0].replace("-", "")
    found = re.match(r"\d+", digits)
    return int(found[0]) if found is not None else None


def _file(
    file: MigrationFile, path: Path, root: Path, group: Sequence[Later], *, is_folder: bool
) -> Iterator[Following]:
    """A file with a group of statements, and what lies beside it."""
    refuses = any(one.refuses_transaction for one in group)
    each = runners.RUNNERS[file.runner]
    how = file.transactions
    text = _text(file.runner, group, refuses=refuses)
    if file.runner == "prisma":
        how = "batch"
    elif file.transactions in {each.transactions, each.outside}:
        how = each.outside if refuses and each.transactions == "file" else each.transactions
    yield Following(path, root, text, how, is_folder=is_folder)
    if file.runner == "diesel":
        yield Following(path.parent / "down.sql", root, _NO_WAY_BACK, how, is_folder=True, is_run=False)
        if refuses:
            yield _switch(path.parent, root)
    if file.runner == "flyway" and refuses:
        yield from _flyway_switch(path, text)


def _switch(folder: Path, root: Path) -> Following:
    """Diesel's."""
    text = "run_in_transaction = false\n"
    return Following(folder / "metadata.toml", root, text, "each", is_folder=True, is_run=False)


def _flyway_switch(path: Path, text: str) -> list[Following]:
    """Flyway's, where it does not see by itself that no statement can run in a transaction."""
    if runners.transactions_of("flyway", text) == "each":
        return []
    conf = path.with_name(f"{path.name}.conf")
    return [Following(conf, path.parent, "executeInTransaction=false\n", "each", is_run=False)]


def _text(runner: str, group: Sequence[Later], *, refuses: bool) -> str:
    body = "".join(f"{ended(one.text)}\n" for one in group)
    begin, back = _SECTIONS.get(runner, ("", ""))
    if refuses and runner in _ALONE_ONE_WAY:
        begin = begin.replace(*_ALONE_ONE_WAY[runner])
    head = _ALONE.get(runner, "") if refuses else ""
    return f"{head}{begin}{body}{back}{_NO_WAY_BACK if back else ''}"
