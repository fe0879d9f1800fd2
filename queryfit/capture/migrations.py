"""Migration files as evidence: the steps and effects of a replay, as rows of the evidence tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import table
from queryfit.evidence.lines import Lines
from queryfit.evidence.session import Session, loaded_session
from queryfit.migrations import NEWEST, OLDEST
from queryfit.migrations.files import MigrationFile, Transactions
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.steps import Effect, Step

_STATEMENT_LENGTH = 80

_NEXT_FILE = "-- next file"

_NO_WORK = dict.fromkeys(("is_rewrite", "is_scan", "is_index_build", "is_index_rebuild"), False)
_ABOUT_PARTITIONS = frozenset({"attach partition", "detach partition", "create partition"})

_LINES = msgspec.json.Encoder()


def evidence(files: Sequence[MigrationFile], run: Run, version: int) -> dict[str, Lines]:
    """The tables `migration_step` and `migration_effect` of the files that are judged; steps of the history are not."""
    steps: Sequence[Step] = run.steps
    judged = run.effects
    if not all(file.is_linted for file in files):
        steps = [step for step in run.steps if files[step.file].is_linted]
        judged = [effect for effect in run.effects if files[run.steps[effect.step - 1].file].is_linted]
    for place, effect in enumerate(run.effects, 1):
        effect.effect = place
    if any(file.group for file in files):
        for effect in run.effects:
            effect.history = files[run.steps[effect.step - 1].file].group
    effects = _told_at_parents(judged)
    # null means that it is not known, and a line of JSON does not tell that from what it leaves out
    unknown = {
        "is_rewrite": [effect.effect for effect in effects if effect.is_rewrite is None],
        "is_scan": [effect.effect for effect in effects if effect.is_scan is None],
        "is_index_build": [effect.effect for effect in effects if effect.is_index_build is None],
        "is_index_rebuild": [effect.effect for effect in effects if effect.is_index_rebuild is None],
    }
    rows = [_row(step, files[step.file], version) for step in steps]
    return {
        "migration_step": Lines(_LINES.encode_lines(rows), _defaults(_Row, "migration_step")),
        "migration_effect": Lines(_LINES.encode_lines(effects), _defaults(Effect, "migration_effect"), unknown),
    }


def _defaults(kind: type[msgspec.Struct], name: str) -> dict[str, Any]:
    """What a line that leaves a column out means by it, where that is not null."""
    types = table(name).column_types
    return {
        field.name: field.default
        for field in msgspec.structs.fields(kind)
        if field.name in types and field.default not in {None, msgspec.NODEFAULT}
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


class _Row(msgspec.Struct, gc=False, omit_defaults=True):
    """A row of `migration_step`."""

    step: int
    file: str
    line: int
    kind: str
    statement: str
    runner: str
    transactions: str
    server_version: int
    transaction: int | None = None
    is_concurrent: bool = False
    is_nested: bool = False
    is_conditional: bool = False
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    refused_in_transaction: str | None = None
    refusal: str | None = None
    unseen: str | None = None
    unfollowed: str | None = None


def _row(step: Step, file: MigrationFile, version: int) -> _Row:
    beginning = file.sql[step.start : min(step.end, step.start + _STATEMENT_LENGTH)]
    return _Row(
        step.number, file.name, step.line, step.kind, " ".join(beginning.split()), file.runner, file.transactions,
        version, step.transaction, step.is_concurrent, step.is_nested, step.is_conditional,
        step.lock_timeout_ms, step.statement_timeout_ms, step.refused_in_transaction, step.refusal, step.unseen,
        step.unfollowed,
    )  # fmt: skip


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
