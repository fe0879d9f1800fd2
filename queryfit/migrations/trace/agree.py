"""Holds what the model says of a statement against what a server did with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from queryfit.migrations.steps import LOCK_MODES, ROW_EXCLUSIVE, SHARE, SHARE_ROW_EXCLUSIVE, Effect, Step
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

Kind = Literal["refusal", "lock", "rewrite", "scan", "index build"]


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
        # what IF EXISTS names need not be there, and what no file made the model cannot know; a relation that is there
        # is locked even if its column is not
        is_sure = effect.is_present and effect.is_known
        if effect.relation is not None and (is_sure or effect.relation in observed.there):
            by_relation.setdefault(effect.relation, []).append(effect)
    found = _locks(by_relation, observed)
    names = (by_relation.keys() | observed.rewritten | observed.scanned) - observed.new - observed.empty
    for name in sorted(names):
        found += _work(name, by_relation.get(name, []), by_relation, observed)
    return found + _builds(by_relation, observed)


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
            # what was seen was there; a lock of the last moment, of an instant, or on an index may be missed
            is_brief = observed.kinds.get(name) == "i" or any(
                effect.action in {"detach partition", "reindex", "vacuum full"}
                for effects in by_relation.values()
                for effect in effects
            )
            is_same = said >= got if got == 0 or is_brief else said == got
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
    is_file = observed.kinds.get(name, "r") in "rpm"  # of others a new file is not seen
    if is_rewrite is not None and is_rewrite != was_rewritten and is_file:
        found.append(Disagreement("rewrite", name, _word(is_rewrite), _word(was_rewritten)))
    is_read = True in {is_rewrite, is_scan, is_build, is_rebuild} or is_concurrent
    is_open = None in {is_rewrite, is_scan, is_build, is_rebuild}
    if is_scan and not was_scanned:
        found.append(Disagreement("scan", name, "yes", "no"))
    elif was_scanned and not (is_read or is_open or _is_queried(name, by_relation, observed)):
        found.append(Disagreement("scan", name, "no", "yes"))
    return found


def _builds(by_relation: dict[str, list[Effect]], observed: Observed) -> list[Disagreement]:
    """Compare indexes built, new ones and those built anew; the model names the index or its table."""

    def said(name: str) -> bool | None:
        effects = by_relation.get(name, ())
        return _any(
            value
            for effect in effects
            for value in (
                effect.is_index_build,
                effect.is_index_rebuild,
                effect.is_rewrite,
                effect.is_concurrent or False,
            )
        )

    found = []
    done = {*observed.built.items(), *observed.rebuilt.items()}
    for index, table in sorted(done):
        if table not in observed.empty and said(index) is False and said(table) is False:
            found.append(Disagreement("index build", table, "no", f"yes, {index}"))
    seen = {name for pair in done for name in pair}
    for name, effects in by_relation.items():
        is_said = any(
            (effect.is_index_build or effect.is_index_rebuild) and not effect.is_concurrent for effect in effects
        )
        if is_said and name not in seen | observed.empty | observed.new and not (_rebuilt_by_rewrite(effects)):
            found.append(Disagreement("index build", name, "yes", "no"))
    return found


def _rebuilt_by_rewrite(effects: Sequence[Effect]) -> bool:
    """A rewritten table may have no index, or an unknown rewrite none to build."""
    return all(effect.is_rewrite is not False for effect in effects if effect.is_index_rebuild) and not any(
        effect.is_index_build for effect in effects
    )


def _is_queried(name: str, by_relation: dict[str, list[Effect]], observed: Observed) -> bool:
    """A query may read it, or a foreign key looks values up in it (or in its partitions)."""
    if any(effect.action in _QUERIES for effects in by_relation.values() for effect in effects):
        return True
    if any(
        effect.action in {"alter column type", "validate constraint"} and effect.other_relation == name
        for effects in by_relation.values()
        for effect in effects
    ):  # its foreign key is made again, and looked up
        return True
    actions = {effect.action for effects in by_relation.values() for effect in effects}
    # tables that are checked are named by the action itself; referenced ones are locked for their triggers
    own = {effect.action for effect in by_relation.get(name, ())}
    if "attach partition" in actions and observed.locks.get(name, 0) > SHARE_ROW_EXCLUSIVE:
        return False  # a default partition, which the action does not name
    return bool(actions & _REFERENCES) and not own & _REFERENCES


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
