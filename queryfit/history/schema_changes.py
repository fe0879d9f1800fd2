"""What changed in the schema and the settings between two captures, said in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from queryfit import words
from queryfit.evidence.session import Session

_FOLD_FROM = 3  # partitions of one table that came or went together are one line
_KINDS = {
    "table": "table",
    "partitioned_table": "partitioned table",
    "view": "view",
    "materialized_view": "materialized view",
    "foreign_table": "foreign table",
}


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One thing that is there now and was not, or the other way round, or that is otherwise now.

    `kind` is table, view …, column, constraint, index, extension, type, policy or setting; `action` is added, dropped,
    renamed or changed. `words` say all of it in one line; `before` and `now` are what was changed, as text.
    """

    kind: str
    action: str
    database: str | None
    relation: str | None
    subject: str
    words: str
    before: str | None = None
    now: str | None = None


@dataclass(frozen=True, slots=True)
class _Thing:
    """A table of the catalog: what names a row, and which columns are worth a word, with that word."""

    table: str
    kind: str
    name: str
    compared: Mapping[str, str]
    identity: str | None = None  # stays when it is renamed
    shown: str | None = None  # what of it is shown where it comes or goes
    is_part: bool = True  # of a relation


_RELATIONS = _Thing(
    "relation",
    "relation",
    "relation",
    {
        "kind": "kind",
        "persistence": "persistence",
        "owner": "owner",
        "options": "options",
        "tablespace": "tablespace",
        "partition_key": "partition key",
        "partition_bound": "partition bound",
        "replica_identity": "replica identity",
        "has_row_security": "row-level security",
        "definition": "definition",
    },
    identity="relation_oid",
    is_part=False,
)
_PARTS = (
    _Thing(
        "relation_column",
        "column",
        "column_name",
        {
            "type": "type",
            "is_not_null": "not null",
            "default_expression": "default",
            "identity": "identity",
            "generated": "generated",
            "collation_name": "collation",
        },
        identity="position",
        shown="type",
    ),
    _Thing(
        "relation_constraint",
        "constraint",
        "constraint_name",
        {"definition": "definition", "is_validated": "validated", "is_enforced": "enforced"},
        shown="definition",
    ),
    _Thing(
        "relation_index",
        "index",
        "index",
        {"definition": "definition", "is_valid": "valid", "is_replica_identity": "replica identity"},
        identity="index_oid",
        shown="definition",
    ),
    _Thing(
        "policy",
        "policy",
        "policy_name",
        {"command": "command", "roles": "roles", "using_expression": "using", "check_expression": "with check"},
    ),
)
_OTHERS = (
    _Thing("extension", "extension", "extension", {"version": "version"}, shown="version", is_part=False),
    _Thing("data_type", "type", "type", {"definition": "definition"}, is_part=False),
)

Row = Mapping[str, Any]
Key = tuple[str, str, str]  # database, relation (empty for what belongs to none), name


@dataclass(slots=True)
class _Comparison:
    """Two sessions, and what of either could not be read."""

    before: Session
    now: Session
    databases: frozenset[str]
    is_same_server: bool
    hidden: set[tuple[str, str | None, str | None]] = field(default_factory=set)

    def rows(self, session: Session, thing: _Thing) -> dict[Key, Row]:
        found: dict[Key, Row] = {}
        for row in session.query(f"select * from {thing.table}").mappings():
            # a column says itself that it is not null, and a parent's index speaks for those attached to it
            is_said = row.get("parent_index") or (thing.table == "relation_constraint" and row["kind"] == "not_null")
            if row["database"] in self.databases and not is_said:
                relation = str(row["relation"]) if thing.is_part else ""
                found[row["database"], relation, str(row[thing.name])] = row
        return found

    def is_hidden(self, table: str, database: str, subject: str) -> bool:
        """Whether one of the captures could not read it: then its absence says nothing."""
        return any(
            entry in self.hidden
            for entry in (
                (table, None, None),
                (table, database, None),
                (table, None, subject),
                (table, database, subject),
            )
        )


def schema_changes(before: Session, now: Session, *, is_same_server: bool = True) -> list[SchemaChange]:
    """Changes of relations, their parts, extensions and types in the databases that both sessions hold."""
    names = [
        {name for (name,) in session.query("select database from database where is_captured").rows}
        for session in (before, now)
    ]
    comparison = _Comparison(before, now, frozenset(names[0] & names[1]), is_same_server)
    for session in (before, now):
        comparison.hidden |= set(session.query("select table_name, database, subject from unread").rows)
    relations, renamed, whole = _relations(comparison)
    parts = _without_twins([change for thing in _PARTS for change in _parts(comparison, thing, renamed, whole)])
    others = [change for thing in _OTHERS for change in _changes(comparison, thing, {})]
    return [*relations, *parts, *others]


def _without_twins(changes: Sequence[SchemaChange]) -> list[SchemaChange]:
    """Without the indexes that came or went with the constraint that they enforce: both have one name."""
    constraints = {
        (change.database, change.relation, change.subject, change.action)
        for change in changes
        if change.kind == "constraint"
    }
    return [
        change
        for change in changes
        if change.kind != "index"
        or (change.database, change.relation, change.subject.rpartition(".")[2], change.action) not in constraints
    ]


def setting_changes(before: Session, now: Session) -> list[SchemaChange]:
    """Settings with another value; the values as people write them."""
    facts = [
        {row["name"]: row for row in session.query("select * from setting order by name").mappings()}
        for session in (before, now)
    ]
    found = []
    for name in sorted(facts[0].keys() & facts[1].keys()):
        was, is_now = facts[0][name], facts[1][name]
        if was["value"] != is_now["value"]:
            texts = _setting(was), _setting(is_now)
            found.append(
                SchemaChange("setting", "changed", None, None, name, f"{name}: {texts[0]} → {texts[1]}", *texts)
            )
        elif is_now["is_pending_restart"] and not was["is_pending_restart"]:
            said = f"{name}: changed in the configuration file, waits for a restart"
            found.append(SchemaChange("setting", "changed", None, None, name, said))
    return found


def _setting(row: Row) -> str:
    """A setting's value with its unit."""
    value = str(row["value"])
    if value.startswith("-"):
        return value  # -1 is a switch, whatever the unit
    if row["value_bytes"] is not None:
        return words.size(row["value_bytes"])
    if row["value_ms"] is not None:
        return words.duration(row["value_ms"])
    return value or "''"


def _relations(comparison: _Comparison) -> tuple[list[SchemaChange], dict[tuple[str, str], str], set[tuple[str, str]]]:
    """Changes of relations; those that were renamed (old name to new), and those that came or went as a whole."""
    found: list[SchemaChange] = []
    renamed: dict[tuple[str, str], str] = {}
    came: dict[tuple[str, str, str], list[SchemaChange]] = defaultdict(list)
    whole: set[tuple[str, str]] = set()
    for change, row in _compared(comparison, _RELATIONS, {}):
        database, name = str(change.database), change.subject
        if change.action == "renamed":
            renamed[database, str(change.before)] = name
        elif change.action in {"added", "dropped"}:
            whole.add((database, name))
            if row["is_partition"]:
                came[database, str(row["root"]), change.action].append(change)
                continue
        found.append(change)
    for (database, root, action), changes in came.items():
        if len(changes) < _FOLD_FROM:
            found += changes
        else:
            said = f"{len(changes)} partitions of {root} {action}"
            found.append(SchemaChange("partitions", action, database, root, root, said))
    return found, renamed, whole


def _parts(
    comparison: _Comparison, thing: _Thing, renamed: Mapping[tuple[str, str], str], whole: set[tuple[str, str]]
) -> Iterator[SchemaChange]:
    """Changes of what belongs to relations that were there before and are there now; partitions that do alike once."""
    found = [
        change for change in _changes(comparison, thing, renamed) if (change.database, change.relation) not in whole
    ]
    roots = {
        (row["database"], row["relation"]): str(row["root"])
        for session in (comparison.before, comparison.now)
        for row in session.query("select database, relation, root from relation where root <> relation").mappings()
    }
    times = Counter(_alike(change, roots) for change in found)
    told = set()
    for change in found:
        alike = _alike(change, roots)
        if times[alike] < _FOLD_FROM or alike is None:
            yield change
        elif alike not in told:
            told.add(alike)
            said = f"{change.words} (and {times[alike] - 1} partitions of {alike[1]} likewise)"
            yield SchemaChange(
                change.kind,
                change.action,
                change.database,
                change.relation,
                change.subject,
                said,
                change.before,
                change.now,
            )


def _alike(change: SchemaChange, roots: Mapping[tuple[str, str], str]) -> tuple[Any, ...] | None:
    """What changes of several partitions share; None for a relation that is none."""
    root = roots.get((str(change.database), str(change.relation)))
    if root is None:
        return None
    about = change.subject if change.kind == "column" else None
    return change.database, root, change.kind, change.action, about


def _changes(comparison: _Comparison, thing: _Thing, renamed: Mapping[tuple[str, str], str]) -> Iterator[SchemaChange]:
    for change, _ in _compared(comparison, thing, renamed):
        yield change


def _compared(
    comparison: _Comparison, thing: _Thing, renamed: Mapping[tuple[str, str], str]
) -> Iterator[tuple[SchemaChange, Row]]:
    """Every change of one kind of thing, with the row that it is about."""
    was = {
        (database, renamed.get((database, relation), relation), name): row
        for (database, relation, name), row in comparison.rows(comparison.before, thing).items()
    }
    now = comparison.rows(comparison.now, thing)
    gone = sorted(was.keys() - now.keys())
    come = sorted(now.keys() - was.keys())
    for old, new in _renamings(comparison, thing, was, now, gone=gone, come=come):
        gone.remove(old)
        come.remove(new)
        said = f"{_called(thing, now[new], new)}: {thing.kind} renamed from {old[2]}"
        if thing is _RELATIONS:
            said = f"{_called(thing, was[old], old)} renamed to {new[2]}"
        yield (
            SchemaChange(_kind(thing, now[new]), "renamed", new[0], new[1] or None, new[2], said, old[2], new[2]),
            now[new],
        )
        yield from _altered(thing, new, was[old], now[new])
    for keys, rows, action in ((gone, was, "dropped"), (come, now, "added")):
        for key in keys:
            if not comparison.is_hidden(thing.table, key[0], key[1] or key[2]):
                row = rows[key]
                shown = f" ({row[thing.shown]})" if thing.shown and row[thing.shown] else ""
                said = f"{_called(thing, row, key)} {action}{shown}"
                values = (
                    (row.get(thing.shown or ""), None) if action == "dropped" else (None, row.get(thing.shown or ""))
                )
                yield SchemaChange(_kind(thing, row), action, key[0], key[1] or None, key[2], said, *values), row
    for key in sorted(was.keys() & now.keys()):
        yield from _altered(thing, key, was[key], now[key])


def _renamings(
    comparison: _Comparison,
    thing: _Thing,
    was: Mapping[Key, Row],
    now: Mapping[Key, Row],
    *,
    gone: Sequence[Key],
    come: Sequence[Key],
) -> list[tuple[Key, Key]]:
    """Things that went and came with the same identity: by oid, or a column by its number."""
    if thing.identity is None or not comparison.is_same_server:
        return []
    relation = 1 if thing.identity == "position" else 0
    places = {(key[0], key[1] if relation else "", was[key][thing.identity]): key for key in gone}
    pairs = [(places.get((key[0], key[1] if relation else "", now[key][thing.identity])), key) for key in come]
    return [(old, new) for old, new in pairs if old is not None]


def _altered(thing: _Thing, key: Key, was: Row, now: Row) -> Iterator[tuple[SchemaChange, Row]]:
    for column, word in thing.compared.items():
        before, after = was.get(column), now.get(column)
        if before == after or (thing.kind == "index" and column == "definition" and _renamed_only(was, now)):
            continue
        name = _called(thing, now, key)
        if isinstance(before, bool) or isinstance(after, bool):
            said = f"{name}: {word if after else f'no longer {word}'}"
        elif word == "definition" and thing.kind not in {"constraint", "index"}:
            said = f"{name}: another definition"
        else:
            said = f"{name}: {word} {_text(before)} → {_text(after)}"
        yield (
            SchemaChange(
                _kind(thing, now), "changed", key[0], key[1] or None, key[2], said, _text(before), _text(after)
            ),
            now,
        )


def _renamed_only(was: Row, now: Row) -> bool:
    """Whether two definitions of an index differ by its own name or its table's: what was renamed is told already."""
    return bool(
        (was["index"] != now["index"] or was["relation"] != now["relation"])
        and all(
            was.get(column) == now.get(column)
            for column in ("access_method", "key_signature", "included_columns", "predicate", "is_unique")
        )
    )


def _kind(thing: _Thing, row: Row) -> str:
    return _KINDS.get(str(row.get("kind")), thing.kind) if thing is _RELATIONS else thing.kind


def _called(thing: _Thing, row: Row, key: Key) -> str:
    """What the thing is called in a sentence: `table public.orders`, `column total of public.orders`."""
    _, relation, name = key
    if thing.kind in {"relation", "index"}:
        return f"{_kind(thing, row)} {name}" + (f" on {relation}" if relation else "")
    return f"{thing.kind} {name}" + (f" of {relation}" if relation else "")


def _text(value: object) -> str:
    return "none" if value is None else str(value)
