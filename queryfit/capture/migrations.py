"""Migration files as evidence: the steps and effects of a replay, as rows of the evidence tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.evidence.session import Lines, Session, loaded_session
from queryfit.migrations import NEWEST, OLDEST
from queryfit.migrations.files import MigrationFile, Transactions
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.steps import Effect, Step

_STATEMENT_LENGTH = 80

_NEXT_FILE = "-- next file"

_NO_WORK = dict.fromkeys(("is_rewrite", "is_scan", "is_index_build", "is_index_rebuild"), False)
_ABOUT_PARTITIONS = frozenset({"attach partition", "detach partition", "create partition"})

_LINES = msgspec.json.Encoder()
_NOT_NULL = {
    field.name: field.default
    for field in msgspec.structs.fields(Effect)
    if field.default is not None and field.default is not msgspec.NODEFAULT
}


def evidence(files: Sequence[MigrationFile], run: Run, version: int) -> dict[str, Lines]:
    """The tables `migration_step` and `migration_effect` of the files that are judged; steps of the history are not."""
    judged = [file.is_linted for file in files]
    steps = [step for step in run.steps if judged[step.file]]
    numbers = {step.number for step in steps}
    for place, effect in enumerate(run.effects, 1):
        effect.effect = place
    effects = _told_at_parents([effect for effect in run.effects if effect.step in numbers])
    # null means that it is not known, and a line of JSON does not tell that from what it leaves out
    unknown = {name: [effect.effect for effect in effects if getattr(effect, name) is None] for name in _NO_WORK}
    rows = [_row(step, files[step.file], version) for step in steps]
    defaults = {name: value for name, value in _NOT_NULL.items() if name in tables()["migration_effect"].column_types}
    return {
        "migration_step": Lines(_LINES.encode_lines(rows)),
        "migration_effect": Lines(_LINES.encode_lines(effects), defaults, unknown),
    }


def _told_at_parents(effects: list[Effect]) -> list[Effect]:
    """The effects, where those on a partitioned table tell the work on its partitions that are in use.

    A partitioned table has no rows of its own, so its own effect says nothing of what a statement works through.
    """
    told = effects
    parent: int | None = None
    for place, effect in enumerate(effects):
        if effect.action != "also lock":
            parent = None
            if effect.is_partitioned and effect.is_known and effect.action not in _ABOUT_PARTITIONS:
                told = list(effects) if told is effects else told
                told[place] = msgspec.structs.replace(effect, **_NO_WORK)
                parent = place
        elif parent is not None and effect.step == told[parent].step and not effect.is_new and not effect.is_small:
            before = told[parent]
            work = {name: _either(getattr(before, name), getattr(effect, name)) for name in _NO_WORK}
            told[parent] = msgspec.structs.replace(before, **work, reason=before.reason or effect.reason)
    return told


def _either(one: bool | None, other: bool | None) -> bool | None:
    return True if one or other else None if one is None or other is None else False


def _row(step: Step, file: MigrationFile, version: int) -> dict[str, Any]:
    """A row of `migration_step`."""
    beginning = file.sql[step.start : min(step.end, step.start + _STATEMENT_LENGTH)]
    return {
        "step": step.number,
        "file": file.name,
        "line": step.line,
        "kind": step.kind,
        "statement": " ".join(beginning.split()),
        "transaction": step.transaction,
        "is_concurrent": step.is_concurrent,
        "is_nested": step.is_nested,
        "is_conditional": step.is_conditional,
        "lock_timeout_ms": step.lock_timeout_ms,
        "statement_timeout_ms": step.statement_timeout_ms,
        "refused_in_transaction": step.refused_in_transaction,
        "refusal": step.refusal,
        "unseen": step.unseen,
        "unfollowed": step.unfollowed,
        "runner": file.runner,
        "transactions": file.transactions,
        "server_version": version,
    }


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
    return loaded_session(evidence(files, run, version))
