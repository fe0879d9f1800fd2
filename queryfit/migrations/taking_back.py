"""What a rollback says of names: that what was made in the part which it takes back was not there before."""

from __future__ import annotations

import re
from collections.abc import Sequence

from queryfit.migrations.context import Context
from queryfit.migrations.model import Database, Name
from queryfit.migrations.steps import Effect, Step
from queryfit.sql.names import quote_identifier

_MADE = frozenset({
    "create table", "create table as", "create view", "create materialized view", "create sequence", "create type",
    "create schema", "create index",
})  # fmt: skip
_TAKING = ("drop ", "rename ", "set schema")
_MAYBE = re.compile(r"\bif\s+not\s+exists\b|\bor\s+replace\b", re.IGNORECASE)


def undo(effects: Sequence[Effect]) -> None:
    """What is rolled back held its locks and did its work, and has no other consequences."""
    for effect in effects:
        is_work = effect.is_rewrite or effect.is_scan or effect.is_index_build or effect.is_index_rebuild
        if effect.is_breaking or effect.is_lossy:
            effect.is_breaking = effect.is_lossy = False
            effect.is_present = bool(is_work)


def note_absent(context: Context, steps: Sequence[Step], effects: Sequence[Effect], before: Database) -> None:
    """Note in `before`, the schema that comes back, which names of the part that goes are gone for sure.

    `steps` are all of the run, `effects` those of the part. Where the part takes names away or something in it is not
    certain, nothing is: `drop table if exists t; create table t ()` says nothing of a `t` before.
    """
    if len(context.settings.search_path) > 1 or any(effect.action.startswith(_TAKING) for effect in effects):
        return
    for step in reversed(steps):
        if step.transaction is None or step.transaction != context.transaction:
            break
        if step.unseen is not None or step.unfollowed is not None or step.refusal is not None:
            return
    made = _made(context, steps, effects)
    if not made:
        return
    after = context.database
    for kind, there, known in (
        ("relation", after.relations, before.relations),
        ("index", after.indexes, before.indexes),
        ("type", after.enums, before.enums),
        ("type", after.domains, before.domains),
        ("type", after.types, before.types),
    ):
        before.gone.update(
            name for name in there if name not in known and name.schema != "pg_temp" and (kind, name.text) in made
        )
    before.gone.update(
        Name(schema, "")
        for schema in after.schemas
        if ("schema", quote_identifier(schema)) in made and schema not in before.schemas
    )


def _made(context: Context, steps: Sequence[Step], effects: Sequence[Effect]) -> set[tuple[str, str | None]]:
    """Kinds and names of what surely was not there before, since it was made without IF NOT EXISTS."""
    made: set[tuple[str, str | None]] = set()
    for effect in effects:
        step = steps[effect.step - 1]
        if effect.action not in _MADE or not effect.is_present or step.is_nested:
            continue
        text = context.sql[step.start : step.end]
        if _MAYBE.search(text) is not None:
            continue
        if effect.action == "create index":
            name = (effect.object_name or "").rpartition(".")[2]
            if name and name.strip('"').lower() in text.lower().partition(" on ")[0]:  # not one that was made up
                made.add(("index", effect.object_name))
        else:
            kind = {"create type": "type", "create schema": "schema"}.get(effect.action, "relation")
            made.add((kind, effect.relation))
    return made
