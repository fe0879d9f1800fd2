"""What a trial shows: which statements cost something else, which fail, and which new indexes are of no use."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from queryfit.lab.trial.steps import NEUTRAL_ACTIONS

if TYPE_CHECKING:
    from queryfit.lab.trial.catalog import Entry, Made
    from queryfit.lab.trial.plans import Outcome
    from queryfit.lab.trial.steps import Part
    from queryfit.lab.trial.workload import Captured
    from queryfit.migrations.steps import Effect

SAME = 0.01  # plans whose costs differ by less are the same for whoever waits
_TEXT_LENGTH = 300
_WORDS: Mapping[str, str] = {
    "drop index": "drops {object}",
    "create index": "creates {object}",
    "reindex": "rebuilds {object}",
    "rename index": "renames {object}",
    "drop constraint": "drops the constraint {object}",
    "add primary key": "adds a primary key to {relation}",
    "add unique": "adds a unique constraint to {relation}",
    "add column": "adds {object}",
    "drop column": "drops {object}",
    "rename column": "renames {object}",
    "alter column type": "changes the type of {object}",
    "drop table": "drops {object}",
    "rename table": "renames {object}",
    "set schema": "moves {object} to another schema",
    "drop view": "drops the {kind} {object}",
    "replace view": "replaces the {kind} {object}",
    "drop function": "drops the function {object}",
    "replace function": "replaces the function {object}",
    "create policy": "adds a policy to {relation}",
    "set row security": "switches row security of {relation}",
}
_WORD = re.compile(r"\w+")
_INDEX_ACTIONS = frozenset({"drop index", "create index", "reindex", "rename index"})


class PlanChange(msgspec.Struct):
    """A row of `migration_plan_change`."""

    step: int
    effect: int | None
    object: str
    change: str
    fingerprint: str
    text: str
    index: str | None
    is_index_new: bool
    cost_before: float
    cost_after: float | None
    error: str | None
    calls_per_day: float | None
    execution_ms_per_day: float | None
    window_s: float | None
    time_share: float


class NewIndex(msgspec.Struct):
    """A row of `migration_new_index`."""

    step: int
    effect: int | None
    index: str
    relation: str
    definition: str
    size_bytes: int | None
    is_unique: bool
    has_foreign_key: bool
    statements: int
    users: int
    is_complete: bool


@dataclass(slots=True)
class History:
    """What was seen: plans before, those after each statement that may have changed them, and new indexes."""

    before: Mapping[str, Outcome]
    after: list[tuple[Part, Mapping[str, Outcome]]] = field(default_factory=list)
    made: dict[int, tuple[Part, Made]] = field(default_factory=dict)  # by the index's oid


@dataclass(frozen=True, slots=True)
class Unknown:
    """What nobody can judge: `blind` relations are changed by statements that were not run (null: all may be)."""

    blind: frozenset[str] | None = frozenset()
    blurred: frozenset[str] = frozenset()  # statistics of a column are lost
    new: frozenset[str] = frozenset()  # made by the migration: what will be in them?
    doubtful: Mapping[str, str] = field(default_factory=dict)  # fingerprint: what the lab lacks for it

    def hides(self, relations: Collection[str] | None) -> bool:
        """Whether statements that were not run may change how these are read."""
        return self.blind is None or (bool(self.blind) if relations is None else not self.blind.isdisjoint(relations))


def plan_changes(
    statements: Sequence[Captured], history: History, unknown: Unknown, left_out: Counter[str]
) -> Iterator[PlanChange]:
    """The statements that cost something else in the end, or fail; reasons of those not judged go to `left_out`."""
    for statement in statements:
        before = history.before[statement.fingerprint]
        series = [
            (part, outcomes[statement.fingerprint])
            for part, outcomes in history.after
            if statement.fingerprint in outcomes
        ]
        reason = _not_judged(statement, before, series[-1][1] if series else before, unknown)
        if reason is not None:
            left_out[reason] += 1
        elif series:
            yield from _change(statement, before, series)


def _not_judged(statement: Captured, before: Outcome, final: Outcome, unknown: Unknown) -> str | None:
    """Why nothing can be said about a statement; null where something can."""
    reason = None
    if before.refusal is not None:
        reason = "the lab cannot plan it without the migration either"
    elif unknown.hides(statement.reached):
        reason = "statements that were not tried may concern it"
    elif final.refusal is not None:  # whatever the lab lacks: what is gone is gone
        told = f"the lab does not plan it after the migration: {final.refusal.message}"
        reason = None if final.refusal.is_proof else told
    elif statement.fingerprint in unknown.doubtful:
        reason = unknown.doubtful[statement.fingerprint]
    elif not final.relations.isdisjoint(unknown.new):
        reason = "it reads a table that the migration makes, and how many rows will be there is not known"
    elif not unknown.blurred.isdisjoint(statement.reached or final.relations):
        reason = "a change of type drops statistics that this lab cannot write again"
    return reason


def _change(statement: Captured, before: Outcome, series: Sequence[tuple[Part, Outcome]]) -> Iterator[PlanChange]:
    final = series[-1][1]
    if final.refusal is not None:
        part, outcome = series[-1]
        for earlier, seen in reversed(series):
            if seen.refusal is None:
                break
            part, outcome = earlier, seen
        yield _row(statement, part, before, outcome, cost=None)
        return
    ratio = _ratio(before, final)
    if ratio is None or abs(ratio - 1) < SAME:
        return
    largest = series[0]
    most, previous = 0.0, before
    for part, outcome in series:
        step = _ratio(previous, outcome) if outcome.refusal is None else None
        if step is None:
            continue
        weight = step if ratio > 1 else 1 / step
        if weight > most:
            most, largest = weight, (part, outcome)
        previous = outcome
    yield _row(statement, largest[0], before, final, cost=_cost(final, before))


def _cost(outcome: Outcome, other: Outcome) -> float:
    """The mean over the queries that have plans in both."""
    both = outcome.costs.keys() & other.costs.keys()
    return sum(outcome.costs[number] for number in both) / len(both) if both else 0.0


def _ratio(before: Outcome, after: Outcome) -> float | None:
    was, now = _cost(before, after), _cost(after, before)
    return now / was if was > 0 and now > 0 else None


def _row(statement: Captured, part: Part, before: Outcome, after: Outcome, *, cost: float | None) -> PlanChange:
    lost, gained = sorted(before.used - after.used), sorted(after.used - before.used)
    if cost is None:
        lost, gained = [], []
    error = after.refusal.message if cost is None and after.refusal is not None else None
    effect = _effect(part, statement, (*lost, *gained), error or "")
    index = None
    if effect is not None and effect.action in _INDEX_ACTIONS and effect.object_name in {*lost, *gained}:
        index = effect.object_name
    is_dearer = cost is not None and cost > _cost(before, after)
    first, second = (lost, gained) if is_dearer else (gained, lost)
    index = index or next(iter((*first, *second)), None)
    thing, words = _described(part, effect)
    return PlanChange(
        step=part.step.number,
        effect=effect.effect if effect is not None else None,
        object=thing,
        change=words,
        fingerprint=statement.fingerprint,
        text=" ".join(statement.text.split())[:_TEXT_LENGTH],
        index=index,
        is_index_new=index in gained,
        cost_before=_cost(before, after) if cost is not None else _mean(before),
        cost_after=cost,
        error=error,
        calls_per_day=statement.calls_per_day,
        execution_ms_per_day=statement.execution_ms_per_day,
        window_s=statement.window_s,
        time_share=statement.time_share,
    )


def _mean(outcome: Outcome) -> float:
    return sum(outcome.costs.values()) / len(outcome.costs) if outcome.costs else 0.0


def _effect(part: Part, statement: Captured, indexes: Iterable[str], error: str) -> Effect | None:
    """The action that fits best: what the error names, an index of the plans, a column or table of the statement."""
    own = [effect for effect in part.effects if effect.action not in NEUTRAL_ACTIONS]
    indexes = {_last(name) for name in indexes}
    words = set(_WORD.findall(error))
    texts = set(_WORD.findall(statement.text))
    reached = statement.reached or frozenset()
    fits: tuple[Callable[[Effect], bool], ...] = (
        lambda effect: effect.column_name in words,
        lambda effect: bool({_last(effect.relation), _last(effect.object_name)} & words),
        lambda effect: _last(effect.object_name) in indexes,
        lambda effect: effect.column_name in texts and effect.relation in reached,
        lambda effect: effect.relation in reached,
    )
    return next((effect for fit in fits for effect in own if fit(effect)), own[0] if own else None)


def _last(name: str | None) -> str:
    """The last part of a qualified name, without quotes; empty for none."""
    return (name or "").rpartition(".")[2].strip('"')


def _described(part: Part, effect: Effect | None) -> tuple[str, str]:
    """What an action changes, and what it does to it."""
    if effect is None:
        text = " ".join(part.file.sql[part.step.start : part.step.end].split())[:80]
        return text, text
    relation = effect.relation or ""
    thing = relation
    if effect.column_name:
        thing = f"{relation}.{effect.column_name}"
    elif effect.object_name:
        thing = effect.object_name if "." in effect.object_name else f"{relation}.{effect.object_name}"
    words = _WORDS.get(effect.action)
    if words is None:
        return thing, f"{effect.action} on {relation}" if relation else effect.action
    told = {"object": thing, "relation": relation, "kind": effect.relation_kind}
    return thing, re.sub(r"\{(\w+)\}", lambda found: told[found[1]], words)


def new_indexes(
    statements: Sequence[Captured],
    history: History,
    entries: Mapping[int, Entry],
    unknown: Unknown,
    *,
    is_complete: bool,
) -> Iterator[NewIndex]:
    """The indexes on older tables that are there in the end, and how many statements use each."""
    roots: dict[int, list[int]] = {}
    for oid in history.made:
        if oid in entries:
            roots.setdefault(entries[oid].root, []).append(oid)
    final: dict[str, Outcome] = dict(history.before)
    for _, outcomes in history.after:  # one that fails in the end may have used it until then
        final.update({name: outcome for name, outcome in outcomes.items() if outcome.refusal is None})
    for root, parts in roots.items():
        top = entries[root]
        if top.table is None or top.table in unknown.new or unknown.hides({top.table}) or not top.is_valid:
            continue
        if root not in history.made:
            continue  # parts of an index that was there before
        part, made = history.made[root]
        if not part.file.is_linted:
            continue
        names = {entries[oid].name for oid in parts}
        reading = [one for one in statements if one.reached is None or top.table in one.reached]
        planned = [
            one for one in reading if final[one.fingerprint].refusal is None and one.fingerprint not in unknown.doubtful
        ]
        sizes = [size.size_bytes for oid in parts if (size := history.made[oid][1].size) is not None]
        effect = next(
            (one for one in part.effects if one.action == "create index" and one.object_name == top.name),
            next((one for one in part.effects if one.relation == top.table), None),
        )
        yield NewIndex(
            step=part.step.number,
            effect=effect.effect if effect is not None else None,
            index=top.name,
            relation=top.table,
            definition=made.definition,
            size_bytes=sum(sizes) if sizes else None,
            is_unique=top.is_unique,
            has_foreign_key=made.has_foreign_key,
            statements=len(planned),
            users=sum(not final[one.fingerprint].used.isdisjoint(names) for one in planned),
            is_complete=is_complete and len(planned) == len(reading) and top.table not in unknown.blurred,
        )
