"""Which statements may be run for a measurement, and how they are wrapped in EXPLAIN."""

from __future__ import annotations

import re
from collections.abc import Mapping

from queryfit.capture.generic_text import UNKNOWN
from queryfit.capture.guard_names import mentions
from queryfit.lab.planner import NotPlannedError, Query
from queryfit.lab.texts import Plannable, plannable
from queryfit.sql.grammar import Node, ast
from queryfit.sql.tree import walk

PREPARED = "queryfit_measured"
_WRITES = (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt, ast.LockingClause)
# What a rollback does not undo: other sessions, files, replication, other servers, the server itself.
_OUTSIDE = re.compile(
    r"pg_(terminate|cancel)_backend|pg_sleep.*|pg_(try_)?advisory_.*|dblink.*|lo_(import|export)|pg_reload_conf"
    r"|pg_rotate_logfile.*|pg_promote|pg_switch_wal|pg_create_.*|pg_drop_.*|pg_logical_.*|pg_replication_.*"
    r"|pg_copy_.*|pg_stat_.*reset.*|pg_file_.*|pg_wal_replay_.*|pg_backup_.*|pg_log_.*|pg_import_.*|pg_export_.*"
    r"|pg_prewarm|pg_sync_.*|hypopg.*|query_to_xml.*"
)


def runnable(query: Query, version_number: int, *, is_writing: bool) -> tuple[Plannable | None, str | None]:
    """A statement as it is run on a server of this version, else (None, reason in words).

    `is_writing`: the person asked to run writing statements too. Only what the text itself calls is looked at: it is a
    statement of the person's own workload, run because the person asked, inside a transaction that is rolled back.
    """
    try:
        text = plannable(query, version_number)
    except NotPlannedError as error:
        return None, error.message
    if text.parameters and text.values is None:
        return None, "it has parameters, and no values are known for them"
    reason = _effect(text.statement, is_writing=is_writing)
    return (text, None) if reason is None else (None, reason)


def _effect(statement: Node, *, is_writing: bool) -> str | None:
    if not is_writing and any(isinstance(node, _WRITES) for node in walk(statement)):
        return "it writes or locks rows, and writing statements were not asked for"
    for _, name in sorted(mentions(statement).functions, key=str):
        if _OUTSIDE.fullmatch(name):
            return f"it calls {name}, which a rollback does not undo"
    return None


def prepare(text: Plannable, types: Mapping[int, str]) -> str:
    """The PREPARE of a text with parameters, some of them with types."""
    declared = ", ".join(types.get(number, UNKNOWN) for number in range(1, text.parameters + 1)) if types else ""
    return f"prepare {PREPARED}{declared and f'({declared})'} as {text.text}"


def body(text: Plannable) -> str:
    """What goes behind EXPLAIN: the text, or the EXECUTE of its prepared statement with the values."""
    return f"execute {PREPARED}({', '.join(text.values)})" if text.values else text.text
