"""Storage parameters: SET and RESET of them, and those that PostgreSQL does not know for that kind of relation.

Only access methods that are built in are judged: others have parameters of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from queryfit.migrations.context import Context
from queryfit.migrations.model import Relation
from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from queryfit.sql import ddl_script
from queryfit.sql.ddl import AlterTableStmt
from queryfit.sql.ddl_parts import AlterTableCmd, DefElem, Node

_TOAST = frozenset({
    "autovacuum_enabled", "autovacuum_freeze_max_age", "autovacuum_freeze_min_age", "autovacuum_freeze_table_age",
    "autovacuum_multixact_freeze_max_age", "autovacuum_multixact_freeze_min_age",
    "autovacuum_multixact_freeze_table_age", "autovacuum_vacuum_cost_delay", "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_insert_scale_factor", "autovacuum_vacuum_insert_threshold", "autovacuum_vacuum_max_threshold",
    "autovacuum_vacuum_scale_factor", "autovacuum_vacuum_threshold", "log_autovacuum_min_duration",
    "vacuum_index_cleanup", "vacuum_max_eager_freeze_failure_rate", "vacuum_truncate",
})  # fmt: skip
NAMES: dict[str, frozenset[str]] = {
    "heap": _TOAST | {
        "autovacuum_analyze_scale_factor", "autovacuum_analyze_threshold", "fillfactor", "parallel_workers",
        "toast_tuple_target", "user_catalog_table",
    },
    "toast": _TOAST,
    "partitioned table": frozenset(),
    "view": frozenset({"check_option", "security_barrier", "security_invoker"}),
    "column": frozenset({"n_distinct", "n_distinct_inherited"}),
    "btree": frozenset({"deduplicate_items", "fillfactor", "vacuum_cleanup_index_scale_factor"}),
    "hash": frozenset({"fillfactor"}),
    "gin": frozenset({"fastupdate", "gin_pending_list_limit"}),
    "gist": frozenset({"buffering", "fillfactor"}),
    "spgist": frozenset({"fillfactor"}),
    "brin": frozenset({"autosummarize", "pages_per_range"}),
}  # fmt: skip
"""The parameters of each kind of relation and of each index access method."""

_SINCE = {"autovacuum_vacuum_max_threshold": 18, "security_invoker": 15, "vacuum_max_eager_freeze_failure_rate": 18}
_ANY = frozenset().union(*(names for kind, names in NAMES.items() if kind != "column"))
_HEAPS = frozenset({"table", "materialized view"})
_WITHOUT = frozenset({"sequence", "foreign table", "composite type"})
_OTHER_WORDS_SINCE = 15  # "ALTER action … cannot be performed on relation …"

_BOOLEANS = frozenset({
    "autosummarize", "autovacuum_enabled", "deduplicate_items", "fastupdate", "security_barrier", "security_invoker",
    "user_catalog_table", "vacuum_truncate",
})  # fmt: skip
_BOOLEAN = re.compile(r"t(?:r(?:ue?)?)?|f(?:a(?:l(?:se?)?)?)?|y(?:es?)?|no?|on|off?|0|1", re.IGNORECASE)
_BOUNDS = {
    "fillfactor": (10, 100),
    "pages_per_range": (1, 131_072),
    "parallel_workers": (0, 1024),
    "toast_tuple_target": (128, 8160),
    "autovacuum_analyze_scale_factor": (0, 100),
    "autovacuum_vacuum_insert_scale_factor": (0, 100),
    "autovacuum_vacuum_scale_factor": (0, 100),
}
_WITH = re.compile(r"\bwith\s*\(", re.IGNORECASE)


class _Into(Struct, frozen=True):
    options: list[Node] = []
    access_method: str = msgspec.field(default="", name="accessMethod")


class _Made(Struct, frozen=True):
    into: _Into = _Into()


_MADE = msgspec.json.Decoder(_Made)
_PARTITIONED_SINCE = 16  # "cannot specify storage parameters for a partitioned table"

# Parameters whose change PostgreSQL makes under ACCESS EXCLUSIVE; all others of a table take SHARE UPDATE EXCLUSIVE.
_STRONG = frozenset({"user_catalog_table", *NAMES["view"]})


def set_parameters(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    """ALTER TABLE … SET (…) and RESET (…), of a view and a materialized view too."""
    listed = action.definition.List
    options = listed.items if listed is not None else []
    names = [option.DefElem.defname for option in options if option.DefElem]
    is_strong = relation.kind == "view" or any(name in _STRONG for name in names)
    if action.subtype == "AT_SetRelOptions":
        _refuse_set(context, relation, options, statement)
    level = ACCESS_EXCLUSIVE if is_strong else SHARE_UPDATE_EXCLUSIVE
    context.effect("set storage parameters", relation, level, definition=", ".join(names))


def _refuse_set(context: Context, relation: Relation, options: Sequence[Node], statement: AlterTableStmt) -> None:
    name = relation.name.name
    if not relation.is_known:  # it may be of any kind that the statement takes, or not be there
        if not statement.missing_ok and statement.objtype != "OBJECT_INDEX":
            kind = {"OBJECT_VIEW": "view", "OBJECT_MATVIEW": "heap"}.get(statement.objtype)
            _refuse_names(context, options, NAMES[kind] if kind is not None else _ANY)
    elif relation.kind == "partitioned table":
        _refuse_of_partitioned(context, options)
    elif relation.kind in _WITHOUT:
        if context.version >= _OTHER_WORDS_SINCE:
            context.refuse(f'ALTER action SET cannot be performed on relation "{name}"')
        else:
            context.refuse(f'"{name}" is not a table, view, materialized view, or index')
    else:
        _refuse_of(context, relation, options)


def _refuse_of(context: Context, relation: Relation, options: Sequence[Node]) -> None:
    if relation.kind == "view":
        _refuse(context, options, "view")
    elif relation.kind in _HEAPS and _is_heap(context, relation.access_method):
        _refuse(context, options, "heap")


def _refuse_of_partitioned(context: Context, options: Sequence[Node]) -> None:
    for option in options:
        if option.DefElem is not None and not option.DefElem.defnamespace:
            if context.version >= _PARTITIONED_SINCE:
                context.refuse("cannot specify storage parameters for a partitioned table")
            context.refuse(f'unrecognized parameter "{option.DefElem.defname}"')


def _is_heap(context: Context, method: str) -> bool:
    return (method or context.settings.others.get("default_table_access_method") or "heap") == "heap"


def refuse_of_table(context: Context, relation: Relation, options: Sequence[Node]) -> None:
    """WITH (…) of CREATE TABLE."""
    kept = []
    for option in options:
        chosen = option.DefElem
        if chosen is not None and not chosen.defnamespace and chosen.defname == "oids":
            if (_word(chosen) or "true").lower() in {"true", "on", "1"}:
                context.refuse("tables declared WITH OIDS are not supported")
        else:
            kept.append(option)
    if not _is_heap(context, relation.access_method):
        return
    if relation.kind == "partitioned table":
        _refuse_of_partitioned(context, kept)
    else:
        _refuse_of(context, relation, kept)
    if relation.kind == "view":
        return  # parameters of a TOAST table that it does not have are passed over
    toast = [option for option in kept if option.DefElem is not None and option.DefElem.defnamespace == "toast"]
    for option in toast:
        assert option.DefElem is not None
        _refuse_one(context, option.DefElem, NAMES["toast"])


def refuse_of_query(context: Context, relation: Relation) -> None:
    """WITH (…) of CREATE TABLE … AS and CREATE MATERIALIZED VIEW, which the statement's tree leaves out."""
    step = context.step
    text = context.sql[step.start : step.end] if context.is_outermost else context.sql
    if _WITH.search(text) is None:
        return
    try:
        parsed = ddl_script.statements(text)
    except ddl_script.Unparsed:
        return
    if len(parsed) != 1 or parsed[0].kind != "CreateTableAsStmt":
        return
    into = _MADE.decode(parsed[0].raw).into
    refuse_of_table(context, Relation(relation.name, relation.kind, access_method=into.access_method), into.options)


def refuse_of_index(context: Context, method: str, options: Sequence[Node]) -> None:
    """WITH (…) of an index of that access method, or ALTER INDEX … SET (…)."""
    if method in NAMES and method not in {"heap", "toast", "view", "column"}:
        _refuse(context, options, method)


def refuse_of_partitioned_index(context: Context, name: str) -> None:
    """ALTER INDEX … SET (…) of an index that has parts."""
    if context.version >= _OTHER_WORDS_SINCE:
        context.refuse(f'ALTER action SET cannot be performed on relation "{name}"')
    else:
        context.refuse(f'"{name}" is not a table, view, materialized view, or index')


def refuse_of_column(context: Context, options: Sequence[Node]) -> None:
    """ALTER COLUMN … SET (…)."""
    _refuse(context, options, "column")


def _refuse(context: Context, options: Sequence[Node], kind: str) -> None:
    _refuse_names(context, options, NAMES[kind])


def _refuse_names(context: Context, options: Sequence[Node], known: frozenset[str]) -> None:
    for option in options:
        chosen = option.DefElem
        if chosen is not None and not chosen.defnamespace:  # extensions have namespaces of their own
            _refuse_one(context, chosen, known)


def _refuse_one(context: Context, chosen: DefElem, known: frozenset[str]) -> None:
    name = chosen.defname
    if name not in known or context.version < _SINCE.get(name, 0):
        context.refuse(f'unrecognized parameter "{name}"')
    elif name in _BOOLEANS:
        word = _word(chosen)
        if word is not None and _BOOLEAN.fullmatch(word) is None:
            context.refuse(f'invalid value for boolean option "{name}": {word}')
    elif name in _BOUNDS and chosen.arg is not None and chosen.arg.Integer is not None:
        value = chosen.arg.Integer.ival
        least, most = _BOUNDS[name]
        if not least <= value <= most:
            context.refuse(f'value {value} out of bounds for option "{name}"')


def _word(chosen: DefElem) -> str | None:
    """The value as PostgreSQL takes it; None where there is none, or one that is no plain word or number."""
    value = chosen.arg
    if value is None:
        return None
    if value.Integer is not None:
        return str(value.Integer.ival)
    if value.TypeName is not None:
        written = value.TypeName
        return written.names[0].text if len(written.names) == 1 and not written.typmods else None
    return value.String.sval if value.String is not None else None
