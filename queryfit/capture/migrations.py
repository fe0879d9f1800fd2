"""Migration files as evidence: the steps and effects of a replay, as columns of the evidence tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.evidence.session import Session, loaded_session
from queryfit.migrations.files import MigrationFile, Transactions
from queryfit.migrations.replay import NEWEST, OLDEST, Run, replay

_STATEMENT_LENGTH = 80

_NEXT_FILE = "-- next file"

Columns = Mapping[str, Sequence[Any]]


def evidence(files: Sequence[MigrationFile], run: Run, version: int, wanted: frozenset[str]) -> dict[str, Columns]:
    """The tables `migration_step` and `migration_effect` by column, of the files that are judged.

    Only columns in `wanted` are made, and those that cannot be null: what no rule asks for need not be carried.
    Steps of the history are left out.
    """
    judged = [file.is_linted for file in files]
    steps = [step for step in run.steps if judged[step.file]]
    numbers = {step.number for step in steps}
    effects = [(place, effect) for place, effect in enumerate(run.effects, 1) if effect.step in numbers]

    def statement(step: Any) -> str:
        return " ".join(files[step.file].sql[step.start : min(step.end, step.start + _STATEMENT_LENGTH)].split())

    step_columns: dict[str, Sequence[Any]] = {}
    for name in _names("migration_step", wanted):
        if name == "step":
            step_columns[name] = [step.number for step in steps]
        elif name == "file":
            step_columns[name] = [files[step.file].name for step in steps]
        elif name == "statement":
            step_columns[name] = [statement(step) for step in steps]
        elif name in {"runner", "transactions"}:
            step_columns[name] = [getattr(files[step.file], name) for step in steps]
        elif name == "server_version":
            step_columns[name] = [version] * len(steps)
        else:
            step_columns[name] = [getattr(step, name) for step in steps]
    effect_columns: dict[str, Sequence[Any]] = {}
    for name in _names("migration_effect", wanted):
        if name == "effect":
            effect_columns[name] = [place for place, _ in effects]
        else:
            effect_columns[name] = [getattr(effect, name) for _, effect in effects]
    return {"migration_step": step_columns, "migration_effect": effect_columns}


def _names(table: str, wanted: frozenset[str]) -> list[str]:
    return [column.name for column in tables()[table].columns if column.is_required or column.name in wanted]


def example_session(given: str, body: str) -> Session:
    """The session over what a rule's example gives: `migration`, and behind commas how it runs.

    `in a transaction` or `as one batch` say how the runner sends the file, `version 15` for which server. A line
    `-- next file` in the body begins another migration: what stands before it are earlier ones, and not judged.
    Raises QueryfitError.
    """
    version = NEWEST
    transactions: Transactions = "each"
    for option in (part.strip() for part in given.split(",")[1:]):
        if option == "in a transaction":
            transactions = "file"
        elif option == "as one batch":
            transactions = "batch"
        elif option.removeprefix("version ").isdecimal():
            version = int(option.removeprefix("version "))
        else:
            raise QueryfitError(
                f"an example is given: migration, {option!r}, which is not known",
                hint="known are: in a transaction, as one batch, version N",
            )
    if not OLDEST <= version <= NEWEST:
        raise QueryfitError(f"version {version} is not one of {OLDEST} to {NEWEST}")
    parts = body.split(f"{_NEXT_FILE}\n")
    files = [
        MigrationFile(None, f"{place}.sql", part, part, "psql", transactions, is_linted=place == len(parts))
        for place, part in enumerate(parts, 1)
    ]
    run = replay(files, version=version, with_columns=True)
    every = frozenset(column.name for table in tables().values() for column in table.columns)
    return loaded_session(evidence(files, run, version, every))
