"""Facts that only the rest of the run can tell: names that come back, indexes and policies that follow."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence

from queryfit.migrations.files import MigrationFile
from queryfit.migrations.model import BEFORE, Database, Index, Relation
from queryfit.migrations.steps import Effect, Step

# What an action does to a name, and to a name of what. Where it replaces, it makes the name available, but it may have
# been there before.
_ROLES = {
    "create table": ("make", "relation"),
    "create table as": ("make", "relation"),
    "create view": ("make", "relation"),
    "create materialized view": ("make", "relation"),
    "create sequence": ("make", "relation"),
    "create type": ("make", "type"),
    "create schema": ("make", "schema"),
    "create function": ("make", "function"),
    "create extension": ("make", "extension"),
    "replace view": ("replace", "relation"),
    "replace function": ("replace", "function"),
    "drop table": ("drop", "relation"),
    "drop view": ("drop", "relation"),
    "drop sequence": ("drop", "relation"),
    "drop type": ("drop", "type"),
    "drop schema": ("drop", "schema"),
    "drop function": ("drop", "function"),
    "drop extension": ("drop", "extension"),
    "rename table": ("rename", "relation"),
    "rename view": ("rename", "relation"),
    "rename type": ("rename", "type"),
    "rename schema": ("rename", "schema"),
    "rename function": ("rename", "function"),
    "set schema": ("move", ""),
}
_OF_OBJECTS = frozenset({"drop constraint", "rename constraint", "rename enum value"})
_KINDS = {"function": "function", "type": "type", "domain": "type", "enum": "type", "composite type": "type"}
_OF_ROWS = (
    r"^invalid input (?:value|syntax)|^malformed array|out of range|numeric field overflow|^value too long"
    r"|but (?:default )?expression is of type|violates not-null|non-DEFAULT value|^VALUES lists|^INSERT has more"
    r"|^there is no unique or exclusion|^ON CONFLICT |^constraint in ON CONFLICT|can only be updated to DEFAULT"
)
_VALUES = re.compile(_OF_ROWS)
_EXISTENCE = re.compile(
    rf"does not exist|already exists|depends? on it|is missing column|^missing FROM-clause|{_OF_ROWS}"
)
_MISSING = re.compile(
    r"(?:column|relation|table|constraint|view|type|function|schema) .* (?:does not exist|already exists)"
)
_QUALIFIED = re.compile(r'("(?:[^"]|"")*"|[^."]+)\.(.+)', re.DOTALL)
_NOT_NULL = re.compile(
    rb'\{"NullTest":\{"arg":\{"ColumnRef":\{"fields":\[\{"String":\{"sval":"([^"]+)"\}\}\][^\[\]{}]*\}\},'
    rb'"nulltesttype":"IS_NOT_NULL"[^\[\]{}]*\}\}'
)

Key = tuple[str, ...]  # what kind of name, and the name with those of what it lies in


def complete(
    files: Sequence[MigrationFile], steps: Sequence[Step], effects: Sequence[Effect], databases: Mapping[int, Database]
) -> None:
    """Fill in, for the files that are judged, the facts of effects that depend on what comes after them.

    The facts are `is_object_new`, `is_name_new`, `name_returns`, `new_relation`, `has_index`, `has_policy` and
    `has_primary_key`. Effects of a step that is refused for what is not there, or is there already, are marked so
    (`is_present`); refusals that are not certain, since something before could not be seen, are taken back.
    `databases` is the schema after the last file, by group.
    """
    blind = _doubt(files, steps)
    added = _added(files, steps, effects)
    names = _Names()
    number = place = -1
    is_linted = False
    refusal: str | None = None
    ends: dict[int, _End] = {}
    for effect in effects:
        if effect.step != number:
            number = effect.step
            step = steps[number - 1]
            refusal = step.refusal
            if step.file != place:
                place, names = step.file, _Names()
                file = files[place]
                is_linted = file.is_linted
        if not is_linted:
            continue
        if refusal is not None:
            effect.is_present = effect.is_present and _MISSING.search(refusal) is None
        elif effect.is_present:
            names.see(effect, step)
        if effect.action in _END_FACTS:
            end = ends.get(file.group)
            if end is None:
                end = ends[file.group] = _End(
                    databases[file.group], added.get(file.group, set()), is_blind=file.group in blind
                )
            end.tell(effect)


def _added(
    files: Sequence[MigrationFile], steps: Sequence[Step], effects: Sequence[Effect]
) -> dict[int, set[tuple[str | None, str | None]]]:
    """Columns that some statement of a group of files adds: table and column."""
    added: dict[int, set[tuple[str | None, str | None]]] = {}
    for effect in effects:
        if effect.action == "add column" and effect.is_present:
            added.setdefault(files[steps[effect.step - 1].file].group, set()).add((effect.relation, effect.column_name))
    return added


def _doubt(files: Sequence[MigrationFile], steps: Sequence[Step]) -> set[int]:
    """Take back refusals that rest on what exists, where something before may have made or dropped it unseen.

    Returns the groups of files in which a statement could not be seen or followed.
    """
    blind: set[int] = set()
    refused = -1  # the last file with a refusal: what follows it in the file may be a mere consequence
    for step in steps:
        if step.refusal is not None:
            group = files[step.file].group
            if (group in blind or step.file == refused) and _EXISTENCE.search(step.refusal) is not None:
                step.unfollowed = step.unfollowed or f"after what could not be seen or was refused: {step.refusal}"
                step.refusal = None
                continue
            if _VALUES.search(step.refusal) is not None and _is_filled(files[step.file], step):
                step.unfollowed = step.unfollowed or f"the values that are filled in are not seen: {step.refusal}"
                step.refusal = None
                continue
            if step.kind == "unparsed":
                blind.add(group)
            refused = step.file
        elif step.unseen is not None or step.unfollowed is not None:
            blind.add(files[step.file].group)
    return blind


def _is_filled(file: MigrationFile, step: Step) -> bool:
    """A placeholder or variable of the statement has another text in its place."""
    return file.sql[step.start : step.end] != file.text[step.start : step.end]


class _Names:
    """The names that one file takes away and brings, as far as it is read."""

    def __init__(self) -> None:
        self._born: set[Key] = set()  # objects that the file made
        self._named: set[Key] = set()  # names that it made or gave
        self._missed: dict[Key, tuple[Effect, int | None]] = {}  # taken away, and not there again

    def see(self, effect: Effect, step: Step) -> None:
        relation = effect.relation
        if effect.action in _ROLES and relation is not None:
            self._relation(*_ROLES[effect.action], relation, effect, step)
        elif effect.column_name is not None:
            self._column(effect, step)
        elif effect.object_name is not None and relation is not None:
            self._object(effect, step)

    def _relation(self, role: str, kind: str, relation: str, effect: Effect, step: Step) -> None:
        if role == "move":
            kind = _KINDS.get(effect.relation_kind, "relation")
        key = (kind, relation)
        if role in {"make", "replace"}:
            self._come(key, step, is_born=role == "make", is_named=role == "make")
        elif role == "drop":
            self._go(key, effect, step)
        elif effect.new_name:
            if role == "move":
                effect.new_relation = f"{effect.new_name}.{_parts(relation)[1]}"
            else:
                effect.new_relation = effect.new_name if kind == "schema" else _beside(relation, effect.new_name)
            self._rename(key, (kind, effect.new_relation), effect, step)

    def _column(self, effect: Effect, step: Step) -> None:
        key = ("column", effect.relation or "", effect.column_name or "")
        if effect.action == "add column":
            self._come(key, step, is_born=True)
        elif effect.action == "drop column":
            self._go(key, effect, step)
        elif effect.action == "rename column" and effect.new_name:
            self._rename(key, ("column", effect.relation or "", effect.new_name), effect, step)
        else:
            self._mark(key, effect)

    def _object(self, effect: Effect, step: Step) -> None:
        action = effect.action
        is_made = action[:4] == "add "
        if not is_made and action not in _OF_OBJECTS:
            return
        kind = "value" if action.endswith("enum value") else "constraint"
        key = (kind, effect.relation or "", effect.object_name or "")
        if is_made:
            self._come(key, step, is_born=True)
        elif action == "drop constraint":
            self._go(key, effect, step)
        elif effect.new_name:
            self._rename(key, (kind, effect.relation or "", effect.new_name), effect, step)

    def _mark(self, key: Key, effect: Effect) -> None:
        effect.is_object_new = key in self._born
        effect.is_name_new = key in self._named

    def _come(self, key: Key, step: Step, *, is_born: bool, is_named: bool = True) -> None:
        if is_born:
            self._born.add(key)
        if is_named:
            self._named.add(key)
        gone = self._missed.pop(key, None) if self._missed else None
        if gone is not None:
            effect, transaction = gone
            is_at_once = transaction is not None and transaction == step.transaction
            effect.name_returns = "transaction" if is_at_once else "file"

    def _go(self, key: Key, effect: Effect, step: Step) -> None:
        self._mark(key, effect)
        self._born.discard(key)
        self._named.discard(key)
        self._missed[key] = (effect, step.transaction)

    def _rename(self, old: Key, new: Key, effect: Effect, step: Step) -> None:
        is_born = old in self._born
        is_swapped_in = new in self._missed
        self._go(old, effect, step)
        self._come(new, step, is_born=is_born)
        if is_swapped_in:
            effect.name_returns = "swap"
            self._missed.pop(old, None)


def _parts(name: str) -> tuple[str, str]:
    match = _QUALIFIED.fullmatch(name)
    return (match[1], match[2]) if match is not None else ("", name)


def _beside(old: str, new: str) -> str:
    """The qualified name after a rename that may give only the last part."""
    schema, _ = _parts(old)
    return new if not schema or _parts(new)[0] else f"{schema}.{new}"


_END_FACTS = frozenset({"add foreign key", "set row security", "create table", "create table as"})


class _End:
    """The schema after the last file."""

    def __init__(self, database: Database, added: Container[tuple[str | None, str | None]], *, is_blind: bool) -> None:
        self._database = database
        self._absent = None if is_blind else False  # what is not seen may have been made by a statement that was not
        self._relations = {relation.text: relation for relation in database.relations.values()}
        self._added = added  # columns that some statement of the group added

    def tell(self, effect: Effect) -> None:
        relation = self._relations.get(effect.relation or "")
        if relation is None:
            return
        if effect.action == "add foreign key":
            effect.has_index = self._has_index(effect, relation)
        elif effect.action == "set row security":
            is_from_server = relation.is_known and relation.born == BEFORE  # --against knows of no policies
            effect.has_policy = True if relation.policies else None if is_from_server else self._absent
        else:
            effect.has_primary_key = self._has_primary_key(relation)

    def _has_index(self, effect: Effect, relation: Relation) -> bool | None:
        constraint = relation.constraints.get(effect.object_name or "")
        if constraint is None or not constraint.columns:
            return None
        columns = constraint.columns
        if any(_serves(index, columns) for index in self._database.indexes_of(relation)):
            return True
        if relation.are_columns_known or any((relation.text, column) in self._added for column in columns):
            return False
        return None

    def _has_primary_key(self, relation: Relation) -> bool | None:
        if any(constraint.kind == "primary key" for constraint in relation.constraints.values()):
            return True
        above = [self._database.relations.get(parent) for parent in relation.parents] if relation.is_partition else []
        if any(parent is None or self._has_primary_key(parent) is not False for parent in above):
            return None
        return self._absent if relation.are_columns_known else None


def _serves(index: Index, columns: tuple[str, ...]) -> bool:
    """The index finds rows by a value of each of the columns: it leads with them, in any order."""
    if (
        index.method not in {"btree", "hash"}
        or set(index.columns[: len(columns)]) != set(columns)
        or not index.is_valid
    ):
        return False
    predicate = bytes(index.predicate)
    if predicate == b"null":
        return True
    match = _NOT_NULL.fullmatch(predicate)
    return match is not None and match[1].decode() in columns
