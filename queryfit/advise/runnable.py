"""Which statements may be run for a measurement, and how they are wrapped in EXPLAIN."""

from __future__ import annotations

import re

from queryfit.capture.guard_names import mentions
from queryfit.lab.planner import Query
from queryfit.sql.grammar import Node, ast
from queryfit.sql.parse import parse
from queryfit.sql.tree import walk

PREPARED = "queryfit_measured"
_WRITES = (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
_CONSTANT = (ast.A_Const, ast.TypeCast, ast.TypeName, ast.String, ast.Integer, ast.Float, ast.Boolean, ast.BitString,
             ast.A_ArrayExpr, ast.RowExpr)  # fmt: skip
# What a rollback does not undo: other sessions, files, replication, other servers, the server itself.
_OUTSIDE = re.compile(
    r"pg_(terminate|cancel)_backend|pg_sleep.*|pg_(try_)?advisory_.*|dblink.*|lo_(import|export)|pg_reload_conf"
    r"|pg_rotate_logfile.*|pg_promote|pg_switch_wal|pg_create_.*|pg_drop_.*|pg_logical_.*|pg_replication_.*"
    r"|pg_copy_.*|pg_stat_.*reset.*|pg_file_.*|pg_wal_replay_.*|pg_backup_.*|pg_log_.*|pg_import_.*|pg_export_.*"
    r"|pg_prewarm|pg_sync_.*|hypopg.*"
)


def refusal(query: Query, *, is_writing: bool) -> str | None:
    """Why a statement is not run, null where it may be; `is_writing`: the person asked to run writing ones too."""
    parsed = parse(query.text)
    if parsed.error is not None:
        return f"it does not parse: {parsed.error}"
    if len(parsed.statements) != 1:
        return f"it is {len(parsed.statements)} statements"
    statement = parsed.statements[0].stmt
    if not isinstance(statement, (ast.SelectStmt, *_WRITES)):
        return "it is no SELECT, INSERT, UPDATE, DELETE or MERGE"
    return _effects_refusal(statement, is_writing=is_writing) or _values_refusal(statement, query)


def _effects_refusal(statement: Node, *, is_writing: bool) -> str | None:
    nodes = list(walk(statement))
    if any(isinstance(node, ast.SelectStmt) and node.intoClause for node in nodes):
        return "it creates a table"
    if not is_writing and any(isinstance(node, (*_WRITES, ast.LockingClause)) for node in nodes):
        return "it writes or locks rows, and writing statements were not asked for"
    for _, name in sorted(mentions(statement).functions, key=str):
        if _OUTSIDE.fullmatch(name):
            return f"it calls {name}, which a rollback does not undo"
    return None


def _values_refusal(statement: Node, query: Query) -> str | None:
    wanted = max((node.number for node in walk(statement) if isinstance(node, ast.ParamRef)), default=0)
    if wanted == 0:
        return None
    if query.values is None:
        return "it has parameters and no values are known for them"
    if len(query.values) < wanted:
        return f"it has {wanted} parameters and {len(query.values)} values"
    if not all(value is None or _is_constant(value) for value in query.values):
        return "a value of its parameters is no constant"
    return None


def _is_constant(value: str) -> bool:
    parsed = parse(f"select {value}")
    if parsed.error is not None or len(parsed.statements) != 1:
        return False
    statement = parsed.statements[0].stmt
    if not isinstance(statement, ast.SelectStmt) or statement.fromClause or len(statement.targetList or ()) != 1:
        return False
    return all(isinstance(node, _CONSTANT) for node in walk(statement.targetList[0].val))


def has_parameters(query: Query) -> bool:
    """Whether the text has $1, $2 …; a text that does not parse has none."""
    return any(isinstance(node, ast.ParamRef) for parsed in parse(query.text).statements for node in walk(parsed.stmt))


def prepare(query: Query) -> str:
    """The PREPARE of a text with parameters."""
    return f"prepare {PREPARED} as {query.text}"


def body(query: Query) -> str:
    """What goes behind EXPLAIN: the text, or the EXECUTE of its prepared statement with the values."""
    if not has_parameters(query):
        return query.text
    values = ", ".join("null" if value is None else value for value in query.values or ())
    return f"execute {PREPARED} ({values})"
