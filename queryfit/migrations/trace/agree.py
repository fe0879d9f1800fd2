"""Holds what the model says of a statement against what a server did with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from queryfit.migrations.steps import LOCK_MODES, ROW_EXCLUSIVE, SHARE, Effect, Step
from queryfit.migrations.trace.observed import Observed

# Refusals for what is in the rows, which a model of the schema cannot know, and for what is around the server.
_NOT_OF_THE_SCHEMA = ("22", "23", "40", "53", "54", "55P03", "57", "58", "42501", "XX")
# Their plans decide what is read, and the planner knows more than the schema.
_QUERIES = frozenset({
    "select", "insert", "update", "delete", "merge", "copy", "call", "other", "create table as", "create view",
    "replace view", "create materialized view", "refresh materialized view", "create rule", "create function",
    "replace function", "create policy",
})  # fmt: skip
_REFERENCES = frozenset(
    {"add foreign key", "validate constraint", "attach partition", "add column", "alter column type"}
)

Kind = Literal["refusal", "lock", "rewrite", "scan", "index build", "index rebuild"]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One point on which the model and the server differ, each in its words."""

    kind: Kind
    relation: str | None
    model: str
    observed: str


def agree(steps: Sequence[Step], effects: Iterable[Effect], observed: Observed) -> list[Disagreement]:
    """Compare a statement's step (with the steps nested in it) and all their effects with one observation.

    What the model calls unknown (null) is not compared, nor locks weaker than ROW EXCLUSIVE where the model names none.
    Of a lock held before only a stronger one shows. Returns nothing when they agree, or the statement was not run.
    """
    if not observed.is_run:
        return []
    refusal = _refusal(steps)
    if observed.error is not None:
        if refusal is None and not observed.error.sqlstate.startswith(_NOT_OF_THE_SCHEMA):
            return [Disagreement("refusal", None, "accepted", f"{observed.error.sqlstate} {observed.error.message}")]
        return []
    if refusal is not None:
        return [Disagreement("refusal", None, refusal, "accepted")]
    if observed.locks_seen == "none" or any(step.unseen or step.unfollowed for step in steps):
        return []
    by_relation: dict[str, list[Effect]] = {}
    for effect in effects:
        if effect.relation is not None and effect.is_present:
            by_relation.setdefault(effect.relation, []).append(effect)
    found = _locks(by_relation, observed)
    names = (by_relation.keys() | observed.rewritten | observed.scanned | {*observed.built.values()}
             | {*observed.rebuilt.values()}) - observed.new - observed.empty  # fmt: skip
    for name in sorted(names):
        found += _work(name, by_relation.get(name, []), by_relation, observed)
    return found


def _refusal(steps: Sequence[Step]) -> str | None:
    for step in steps:
        if step.is_conditional:
            continue
        if step.refusal is not None:
            return step.refusal
        if step.refused_in_transaction is not None and step.transaction is not None:
            return f"{step.refused_in_transaction} in a transaction block"
    return None


def _locks(by_relation: dict[str, list[Effect]], observed: Observed) -> list[Disagreement]:
    found = []
    for name in sorted((by_relation.keys() | observed.locks.keys()) - observed.new):
        said = max((effect.lock_level for effect in by_relation.get(name, ())), default=0)
        got = observed.locks.get(name, 0)
        held = observed.held.get(name, 0)
        table = observed.parts.get(name)
        if observed.kinds.get(name) == "S" and got < SHARE and name not in by_relation:
            continue  # nextval
        if table is not None and name not in by_relation:
            # a lock on an index or sequence goes without saying where its table is locked as strongly
            at_table = max((effect.lock_level for effect in by_relation.get(table, ())), default=0)
            if got < SHARE or at_table >= got:
                continue
        if max(said, got) < ROW_EXCLUSIVE:
            continue
        if observed.locks_seen == "sampled":
            is_same = said >= got
        elif got > held:
            is_same = said == got
        else:
            is_same = got <= said <= held
        if not is_same:
            found.append(
                Disagreement("lock", name, _mode(said), _mode(got) + (f", {_mode(held)} before" if held else ""))
            )
    return found


def _work(
    name: str, effects: Sequence[Effect], by_relation: dict[str, list[Effect]], observed: Observed
) -> list[Disagreement]:
    found = []
    is_rewrite = _any(effect.is_rewrite for effect in effects)
    is_scan = _any(effect.is_scan for effect in effects)
    is_build = _any(effect.is_index_build for effect in effects)
    is_rebuild = _any(effect.is_index_rebuild for effect in effects)
    is_concurrent = any(effect.is_concurrent for effect in effects)
    was_rewritten = name in observed.rewritten
    was_scanned = name in observed.scanned
    was_built = name in observed.built.values()
    was_rebuilt = name in observed.rebuilt.values() or name in observed.rebuilt
    if is_rewrite is not None and is_rewrite != was_rewritten:
        found.append(Disagreement("rewrite", name, _word(is_rewrite), _word(was_rewritten)))
    is_read = True in {is_rewrite, is_scan, is_build, is_rebuild} or is_concurrent
    is_open = None in {is_rewrite, is_scan, is_build, is_rebuild}
    if is_scan and not was_scanned:
        found.append(Disagreement("scan", name, "yes", "no"))
    elif was_scanned and not (is_read or is_open or _is_queried(name, by_relation)):
        found.append(Disagreement("scan", name, "no", "yes"))
    if is_concurrent:
        return found
    if is_build is not None and is_build != was_built and not (was_built and is_rewrite is None):
        found.append(Disagreement("index build", name, _word(is_build), _word(was_built)))
    if is_rebuild is not None and is_rebuild != was_rebuilt and not (is_rewrite or is_rewrite is None):
        found.append(Disagreement("index rebuild", name, _word(is_rebuild), _word(was_rebuilt)))
    return found


def _is_queried(name: str, by_relation: dict[str, list[Effect]]) -> bool:
    """A query may read it, or a foreign key looks values up in it."""
    return any(
        effect.action in _QUERIES or (effect.action in _REFERENCES and effect.other_relation == name)
        for effects in by_relation.values()
        for effect in effects
    )


def _any(values: Iterable[bool | None]) -> bool | None:
    """True beats unknown, unknown beats False."""
    seen = set(values)
    if True in seen:
        return True
    return None if None in seen else False


def _word(value: bool) -> str:
    return "yes" if value else "no"


def _mode(level: int) -> str:
    return LOCK_MODES[level - 1] if level else "none"
