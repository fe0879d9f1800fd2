"""Statements on rows: INSERT, UPDATE, DELETE, MERGE, COPY, SELECT, and the calls of functions in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.calls import follow, may_write
from queryfit.migrations.interpret.returning import refuse_old_and_new
from queryfit.migrations.interpret.rows import refuse_deleted, refuse_inserted, refuse_updated, see_catalog
from queryfit.migrations.interpret.session import path_of_text, run_inner, set_value
from queryfit.migrations.model import Relation
from queryfit.migrations.steps import ACCESS_SHARE, ROW_EXCLUSIVE, ROW_SHARE
from queryfit.sql.ddl import (
    CopyStmt,
    CreateTableAsStmt,
    DeleteStmt,
    InsertStmt,
    LockingClause,
    MergeStmt,
    SelectStmt,
    Target,
    UpdateStmt,
    WithClause,
    decode_call,
)
from queryfit.sql.ddl_parts import NOTHING, Node, RangeVar, names, tree

_WITH = msgspec.json.Decoder(WithClause)
_LOCKING = msgspec.json.Decoder(list[dict[str, LockingClause]])
_MERGE_SINCE = 15
_MERGE_RETURNS_SINCE = 17
_QUERY = msgspec.json.Decoder(dict[str, SelectStmt])
_MANY_ROWS = re.compile(rb'"sval":"(?:generate_series|unnest|\w*_to_table|\w*_elements(?:_text)?|\w*_each(?:_text)?)"')
_DML = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_HAS_DML = re.compile(rb'"(?:Insert|Update|Delete|Merge)Stmt":')


def _common_tables(context: Context, clause: Raw) -> None:
    """The data-modifying statements in WITH."""
    if clause is NOTHING or _HAS_DML.search(memoryview(clause)) is None:
        return
    for entry in _WITH.decode(clause).ctes:
        if entry.CommonTableExpr is not None:
            query = entry.CommonTableExpr.ctequery
            if not _DML.isdisjoint(query):
                run_inner(context, query)


def _is_common_table(clause: Raw, relation: RangeVar) -> bool:
    if clause is NOTHING or relation.schemaname:
        return False
    return any(
        entry.CommonTableExpr is not None and entry.CommonTableExpr.ctename == relation.relname
        for entry in _WITH.decode(clause).ctes
    )


def lock_descendants(context: Context, relation: Relation, target: RangeVar, level: int) -> None:
    """Partitions and children below a table are locked as it is."""
    if target.inh and relation.children:
        for child in context.database.descendants(relation):
            context.effect("also lock", child, level)


def _behind_view(context: Context, relation: Relation) -> None:
    """A view that passes changes on locks the one table behind it."""
    while relation.kind == "view" and not relation.triggers:
        names = {name for name, _ in relation.depends_on}
        below = context.database.relations.get(names.pop()) if len(names) == 1 else None
        if below is None:
            return
        context.effect("also lock", below, ROW_EXCLUSIVE)
        relation = below


def insert(context: Context, statement: InsertStmt) -> None:
    assert statement.relation is not None
    _common_tables(context, statement.withClause)
    relation = context.relation(statement.relation)
    if statement.selectStmt is NOTHING:
        source = "default values"
    else:
        source = "values" if _is_of_rows_written_out(statement.selectStmt) else "select"
    context.effect("insert", relation, ROW_EXCLUSIVE, definition=source)
    see_catalog(context, relation)
    refuse_inserted(context, statement, relation, is_written_out=source != "select")
    relation.emptied_in = None
    _behind_view(context, relation)
    if len(relation.children) == 1 and relation.kind == "partitioned table":  # of several, the rows decide
        lock_descendants(context, relation, statement.relation, ROW_EXCLUSIVE)
    if source == "select":
        _functions(context, statement.selectStmt)
    else:
        _hidden_writes(context, [statement.selectStmt])


_ALWAYS = re.compile(
    rb'\{"A_Const":\{"boolval":\{"boolval":true\}(?:,"location":\d+)?\}\}'
    rb'|\{"A_Expr":\{"kind":"AEXPR_OP","name":\[\{"String":\{"sval":"="\}\}\],'
    rb'"lexpr":\{"A_Const":(\{"[^{}]*\{[^{}]*\})(?:,"location":\d+)?\}\},"rexpr":\{"A_Const":\1(?:,"location":\d+)?\}\}'
    rb'(?:,"location":\d+)?\}\}'
)


def _chooses(where: Raw) -> bool:
    """A WHERE is there, and is not one that holds for every row: `true`, `1 = 1`."""
    return where is not NOTHING and _ALWAYS.fullmatch(bytes(where)) is None


def _is_of_rows_written_out(query: Raw) -> bool:
    """VALUES, or a SELECT that reads nothing in its FROM: as many rows as the text has."""
    if b'"valuesLists":' in bytes(memoryview(query)[:60]):
        return True
    select = _QUERY.decode(query).get("SelectStmt")
    return (
        select is not None
        and select.op == "SETOP_NONE"
        and select.fromClause is NOTHING
        and select.withClause is NOTHING
        and _MANY_ROWS.search(memoryview(select.targetList)) is None
    )


def update(context: Context, statement: UpdateStmt) -> None:
    assert statement.relation is not None
    _common_tables(context, statement.withClause)
    relation = context.relation(statement.relation)
    context.effect("update", relation, ROW_EXCLUSIVE, has_where=_chooses(statement.whereClause))
    see_catalog(context, relation)
    refuse_updated(context, statement, relation)
    _behind_view(context, relation)
    lock_descendants(context, relation, statement.relation, ROW_EXCLUSIVE)
    _hidden_writes(context, [*statement.targetList, statement.whereClause])


def delete(context: Context, statement: DeleteStmt) -> None:
    assert statement.relation is not None
    _common_tables(context, statement.withClause)
    relation = context.relation(statement.relation)
    context.effect("delete", relation, ROW_EXCLUSIVE, has_where=_chooses(statement.whereClause))
    see_catalog(context, relation)
    refuse_deleted(context, statement, relation)
    _behind_view(context, relation)
    lock_descendants(context, relation, statement.relation, ROW_EXCLUSIVE)
    _hidden_writes(context, [statement.whereClause])


def merge(context: Context, statement: MergeStmt) -> None:
    assert statement.relation is not None
    if context.version < _MERGE_SINCE:
        context.refuse("MERGE needs PostgreSQL 15")
        return
    if context.version < _MERGE_RETURNS_SINCE and (
        statement.returningClause is not NOTHING or statement.returningList is not NOTHING
    ):
        context.refuse("MERGE … RETURNING needs PostgreSQL 17")
        return
    _common_tables(context, statement.withClause)
    relation = context.relation(statement.relation)
    context.effect("merge", relation, ROW_EXCLUSIVE)
    refuse_old_and_new(context, statement.returningClause)
    relation.emptied_in = None
    lock_descendants(context, relation, statement.relation, ROW_EXCLUSIVE)


def copy(context: Context, statement: CopyStmt) -> None:
    if statement.relation is None:
        query = msgspec.json.decode(statement.query, type=dict[str, Raw]) if statement.query is not NOTHING else {}
        if not _DML.isdisjoint(query):
            run_inner(context, query)
        return
    relation = context.relation(statement.relation)
    level = ROW_EXCLUSIVE if statement.is_from else ACCESS_SHARE
    context.effect("copy", relation, level, definition="from" if statement.is_from else "to")
    if statement.is_from:
        relation.emptied_in = None


def select(context: Context, statement: SelectStmt) -> None:
    """A query: only what it locks, changes or creates is told."""
    if statement.withClause is not NOTHING:
        _common_tables(context, statement.withClause)
    if statement.intoClause is not None and context.run is not None:
        query = msgspec.json.encode({"SelectStmt": msgspec.structs.replace(statement, intoClause=None)})
        context.run(context, "CreateTableAsStmt", CreateTableAsStmt(Raw(query), statement.intoClause, "OBJECT_TABLE"))
        return
    if statement.lockingClause is not NOTHING and statement.fromClause is not NOTHING:
        _for_update(context, statement)
    elif statement.fromClause is not NOTHING:
        _read(context, statement.fromClause)
    if statement.fromClause is not NOTHING:
        _functions(context, statement.targetList)
        _functions(context, statement.fromClause)
    elif not context.database.functions or not _follow(context, statement.targetList):
        _functions(context, statement.targetList)


_TARGETS = msgspec.json.Decoder(list[Target])


def _follow(context: Context, targets: Raw) -> bool:
    """SELECT of nothing but calls of functions that the migrations made, once each; False: it is something else."""
    if targets is NOTHING or b'"FuncCall"' not in bytes(targets):
        return False
    calls = [entry.ResTarget.val.get("FuncCall") for entry in _TARGETS.decode(targets) if entry.ResTarget is not None]
    if None in calls:
        return False
    functions = context.database.functions
    decoded = [decode_call(raw) for raw in calls if raw is not None]
    if any(context.qualify(names(call.funcname), functions) not in functions for call in decoded):
        return False
    for call in decoded:
        parts = names(call.funcname)
        overloads = functions[context.qualify(parts, functions)]
        if not any(function.volatility == "volatile" and may_write(context, function) for function in overloads):
            continue
        if not follow(context, parts, [tree(argument) for argument in call.args]):
            context.step.unseen = context.step.unseen or f"what {parts[-1]}() does"
    return True


_FROM = msgspec.json.Decoder(list[Node])


def _read(context: Context, clause: Raw) -> None:
    """Tables of the schema that a query reads."""
    for node in _FROM.decode(clause):
        if node.RangeVar is not None and (relation := context.find(node.RangeVar)) is not None:
            context.effect("select", relation, ACCESS_SHARE)


def _for_update(context: Context, statement: SelectStmt) -> None:
    """SELECT … FOR UPDATE locks the tables that it names in FROM, or those of OF."""
    wanted: set[str] | None = set()
    for entry in _LOCKING.decode(statement.lockingClause):
        for clause in entry.values():
            named = {node.RangeVar.relname for node in clause.lockedRels if node.RangeVar is not None}
            wanted = wanted | named if named and wanted is not None else None
    pending: list[Any] = list(tree(statement.fromClause) or [])
    while pending:
        item = pending.pop(0)
        if join := item.get("JoinExpr"):
            pending[:0] = [part for part in (join.get("larg"), join.get("rarg")) if part]
        elif (place := item.get("RangeVar")) is not None:
            alias = place.get("alias", {}).get("aliasname", place.get("relname"))
            target = msgspec.convert(place, RangeVar)
            if (wanted is None or alias in wanted) and not _is_common_table(statement.withClause, target):
                relation = context.relation(target)
                context.effect("select", relation, ROW_SHARE, definition="for update")
                lock_descendants(context, relation, target, ROW_SHARE)


# functions that do more than compute

_CALL = re.compile(rb'"FuncCall":\{"funcname":\[((?:\{"String":\{"sval":"[^"\\]*"\}\},?)+)\]')
_PART = re.compile(rb'"sval":"([^"]*)"')
_SEQUENCES = frozenset({"setval", "nextval"})
_MAKERS = frozenset(
    [
        "create_hypertable",
        "create_distributed_table",
        "create_reference_table",
        "add_retention_policy",
        "add_compression_policy",
        "create_parent",
        "run_maintenance",
        "addgeometrycolumn",
        "dropgeometrycolumn",
        "dropgeometrytable",
        "updategeometrysrid",
        "undistribute_table",
        "alter_distributed_table",
        "audit_table",
        "enable_tracking",
        "disable_tracking",
        "dblink_exec",
        "lo_import",
        "pg_read_file",
        "query_to_xml",
        "alter_columnar_table_set",
        "add_continuous_aggregate_policy",
    ]
)


def _functions(context: Context, part: Raw) -> None:
    """Calls of functions in a part of a query."""
    text = bytes(part)
    if b'"FuncCall"' not in text:
        return
    for call in dict.fromkeys(_CALL.findall(text)):
        parts = [name.decode() for name in _PART.findall(call)]
        name = parts[-1]
        if name in _SEQUENCES or name == "set_config":
            _known_calls(context, part)
            return
        called(context, parts)


def _hidden_writes(context: Context, expressions: Iterable[Raw]) -> None:
    """Calls in expressions of functions that the migrations made, which may change anything."""
    if not context.database.functions:
        return
    for part in expressions:
        text = bytes(part)
        if b'"FuncCall"' in text:
            for call in dict.fromkeys(_CALL.findall(text)):
                called(context, [name.decode() for name in _PART.findall(call)])


def called(context: Context, parts: list[str]) -> None:
    """A call of a function that may do anything: say that it is not seen."""
    name = parts[-1]
    if name.lower() in _MAKERS:
        context.step.unseen = context.step.unseen or f"what {name}() does"
        return
    functions = context.database.functions
    if not functions or (len(parts) > 1 and parts[0] == "pg_catalog"):
        return
    found = functions.get(context.qualify(parts, functions))
    if found and any(function.volatility == "volatile" and may_write(context, function) for function in found):
        context.step.unseen = context.step.unseen or f"what {name}() does"


def _known_calls(context: Context, part: Raw) -> None:
    """setval(), nextval() and set_config() with constants, wherever they stand in the part."""
    pending: list[Any] = [tree(part)]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += reversed(item)
        elif isinstance(item, dict):
            call = item.get("FuncCall")
            if call is not None:
                parts = [str(name.get("String", {}).get("sval", "")) for name in call.get("funcname", [])]
                arguments = call.get("args", [])
                if parts and parts[-1] in _SEQUENCES and arguments:
                    _sequence_call(context, parts[-1], arguments[0])
                elif parts and parts[-1] == "set_config" and len(arguments) > 1:
                    _set_config(context, arguments)
                elif parts:
                    called(context, parts)
            pending += reversed(list(item.values()))


def _sequence_call(context: Context, function: str, argument: Any) -> None:
    found = _sequence(context, argument)
    if found is not None:
        context.effect("select", found, ROW_EXCLUSIVE, definition=function)


def _sequence(context: Context, argument: Any) -> Relation | None:
    """The sequence that an argument of type regclass means."""
    while "TypeCast" in argument:
        argument = argument["TypeCast"].get("arg", {})
    if (text := constant(argument)) is not None:
        return context.relation(_written(text), "sequence")
    call = argument.get("FuncCall", {})
    names = [part.get("String", {}).get("sval") for part in call.get("funcname", [])]
    arguments = [constant(entry) for entry in call.get("args", [])]
    if names[-1:] != ["pg_get_serial_sequence"]:
        return None
    table, column = (*arguments, None, None)[:2]
    if table is None or column is None:
        return None
    owned = context.database.owned_sequences(context.name_of(_written(table)), column)
    return owned[0] if owned else None


def _set_config(context: Context, arguments: list[Any]) -> None:
    name, value = constant(arguments[0]), constant(arguments[1])
    if name is None or value is None:
        return
    is_local = arguments[-1].get("A_Const", {}).get("boolval", {}).get("boolval", False)
    values = path_of_text(value) if name == "search_path" else [value]
    set_value(context, name.lower(), values, is_local=bool(is_local))
    context.thing("set", None, "other", object_name=name.lower(), definition=value)


def constant(node: Any) -> str | None:
    """A text constant of a decoded tree."""
    value = node.get("A_Const", {}).get("sval") if isinstance(node, dict) else None
    return str(value.get("sval", "")) if isinstance(value, dict) else None


def _written(text: str) -> RangeVar:
    """A relation as it stands in a string."""
    parts = [part.strip() for part in re.findall(r'"(?:[^"]|"")*"|[^."]+', text)]
    names = [part[1:-1].replace('""', '"') if part.startswith('"') else part.lower() for part in parts if part]
    return RangeVar(relname=names[-1] if names else "", schemaname=names[-2] if len(names) > 1 else "")


HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "InsertStmt": insert,
    "UpdateStmt": update,
    "DeleteStmt": delete,
    "MergeStmt": merge,
    "CopyStmt": copy,
    "SelectStmt": select,
}
"""Statements."""
