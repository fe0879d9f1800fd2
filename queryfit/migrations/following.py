"""The file after a migration, for what has to wait until that one is committed: its name, and what its runner wants."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from queryfit.migrations.files import MigrationFile
from queryfit.migrations.repairs import ended
from queryfit.migrations.runners import Transactions

_NUMBERED = re.compile(r"(V?)(\d+)([_-]+.*?|)((?:\.up)?\.sql|)", re.IGNORECASE)
_FOLDERS = {"diesel", "prisma"}  # a migration is a folder
_ONE_EACH = {"golang-migrate", "prisma"}  # a file of several statements is a transaction block
_NO_WAY_BACK = "-- Nothing to undo: the migration before this one does.\n"


@dataclass(frozen=True, slots=True)
class Following:
    """A file to create. `root` is the folder of migrations."""

    path: Path
    root: Path
    text: str
    transactions: Transactions
    is_folder: bool = False  # the migration is a folder with this file in it
    is_run: bool = True  # False: a way back, or settings


def following(
    file: MigrationFile, statements: Sequence[tuple[str, bool]], taken: Collection[Path]
) -> list[Following] | str:
    """The files that run right after `file` with these statements, or why there can be none.

    Each statement comes with whether it refuses a transaction block.
    """
    if file.path is None:
        return "what has to follow after a commit needs a file of its own, and standard input has none"
    refuses = any(refused for _, refused in statements)
    if refuses and file.runner == "psql":
        return "a statement has to run outside of a transaction, and the runner's is not known to have an exception"
    is_folder = file.runner in _FOLDERS and file.path.parent.name != ""
    place = file.path.parent if is_folder else file.path
    texts = [[text] for text, _ in statements] if file.runner in _ONE_EACH else [[text for text, _ in statements]]
    made: list[Following] = []
    for number, group in enumerate(texts, 1):
        target = _next(place, number)
        if target is None:
            return f"there is no room for a migration between {place.name} and the next one"
        if is_folder:
            made += _in_folder(file, target, group, refuses=refuses)
        else:
            made.append(
                Following(
                    target, target.parent, _text(file, group, refuses=refuses), _transactions(file, refuses=refuses)
                )
            )
    if any(one.path in taken or one.path.exists() for one in made):
        return f"{made[0].path.name} is there already"
    return made


def _next(place: Path, number: int) -> Path | None:
    """The name of the migration that comes `number` places after: the version counts on, where that one is free."""
    found = _NUMBERED.fullmatch(place.name)
    if found is None:
        return place.with_name(f"{place.stem}_{number + 1}{place.suffix}")
    letter, digits, words, ending = found.groups()
    version = str(int(digits) + number).zfill(len(digits))
    if len(version) > len(digits):
        return None
    for other in place.parent.iterdir() if place.parent.is_dir() else ():
        also = _NUMBERED.match(other.name)
        if also and also[2].lstrip("0") == version.lstrip("0"):
            return None
    return place.with_name(f"{letter}{version}{words or '_'}_after{number if number > 1 else ''}{ending}")


def _transactions(file: MigrationFile, *, refuses: bool) -> Transactions:
    if not refuses:
        return file.transactions
    return "batch" if file.transactions == "batch" else "each"


def _text(file: MigrationFile, group: Sequence[str], *, refuses: bool) -> str:
    body = "".join(f"{ended(text)}\n" for text in group)
    if file.runner == "goose":
        alone = "-- +goose NO TRANSACTION\n" if refuses else ""
        return f"{alone}-- +goose Up\n{body}\n-- +goose Down\n{_NO_WAY_BACK}"
    if file.runner == "dbmate":
        return f"-- migrate:up{' transaction:false' if refuses else ''}\n{body}\n-- migrate:down\n{_NO_WAY_BACK}"
    if file.runner == "sqlx" and refuses:
        return f"-- no-transaction\n{body}"
    return body


def _in_folder(file: MigrationFile, folder: Path, group: Sequence[str], *, refuses: bool) -> Iterator[Following]:
    assert file.path is not None
    root, how = folder.parent, _transactions(file, refuses=refuses)
    yield Following(folder / file.path.name, root, _text(file, group, refuses=refuses), how, is_folder=True)
    if file.runner == "diesel":
        yield Following(folder / "down.sql", root, _NO_WAY_BACK, how, is_folder=True, is_run=False)
        if refuses:
            switch = "run_in_transaction = false\n"
            yield Following(folder / "metadata.toml", root, switch, how, is_folder=True, is_run=False)
