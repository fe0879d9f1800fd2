"""SET and RESET, transaction control, and what else concerns only the session: none of it touches a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.setting_names import refuse_called, refuse_shown, refuse_unknown
from queryfit.migrations.model import Database, Settings
from queryfit.sql.ddl import (
    DeclareCursorStmt,
    DiscardStmt,
    ExecuteStmt,
    ExplainStmt,
    PrepareStmt,
    TransactionStmt,
    Whole,
    decode,
)
from queryfit.sql.ddl_parts import Node, VariableSetStmt

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1_000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_TIME = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(us|ms|s|min|h|d)?\s*", re.IGNORECASE)
_MAX_MS = 2**31 - 1


def milliseconds(value: str | float | None) -> int | None:
    """A timeout as SET takes it (`'5s'`, `500`, `'1.5 min'`), in ms; None for what PostgreSQL does not take."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value if 0 <= value <= _MAX_MS else None
    match = _TIME.fullmatch(str(value))
    if match is None:
        return None
    unit = (match[2] or "ms") if not match[2] else match[2]
    if unit not in _UNITS_MS:  # units are case-sensitive
        return None
    amount = float(match[1]) * _UNITS_MS[unit]
    return round(amount) if 0 <= amount <= _MAX_MS else None


def default_settings(database: Database) -> Settings:
    """What a new session has."""
    return Settings(lock_timeout_ms=database.lock_timeout_ms, statement_timeout_ms=database.statement_timeout_ms)


def apply(
    settings: Settings, name: str, values: Sequence[str | int | bool | None] | None, default: Settings
) -> Settings:
    """The settings after one of them got a value; None as values: its default."""
    first = values[0] if values else None
    match name:
        case "search_path":
            chosen_path = _path(values) if values is not None else default.search_path
            if values is not None and "$user" in values:  # it may be a schema of its own after all
                settings = replace(settings, others={**settings.others, "$user": True})
            return replace(settings, search_path=chosen_path)
        case "lock_timeout":
            chosen = milliseconds(first) if values is not None else default.lock_timeout_ms
            return replace(settings, lock_timeout_ms=chosen)
        case "statement_timeout":
            chosen = milliseconds(first) if values is not None else default.statement_timeout_ms
            return replace(settings, statement_timeout_ms=chosen)
        case "timezone":
            return replace(settings, time_zone=str(first) if first is not None else None)
    others = dict(settings.others)
    if values is None:
        others.pop(name, None)
    else:
        others[name] = _text(values)
    return replace(settings, others=others)


def _path(values: Sequence[str | int | bool | None]) -> tuple[str, ...]:
    # "$user" names a schema that hardly anyone has
    return tuple(name for name in map(str, values) if name not in {"", "$user"})


def path_of_text(text: str) -> list[str]:
    """The schemas of a search_path that is written as one string, as set_config() takes it."""
    found = []
    for part in re.findall(r'"(?:[^"]|"")*"|[^,]+', text):
        name = part.strip()
        found.append(name[1:-1].replace('""', '"') if name.startswith('"') else name.lower())
    return found


def set_value(context: Context, name: str, values: Sequence[Any] | None, *, is_local: bool = False) -> None:
    """Give a setting a value, as SET does: SET LOCAL does nothing outside a transaction block."""
    if context.step.kind == "SelectStmt":
        refuse_called(context, name)
    default = default_settings(context.database)
    if not is_local:
        if context.after_commit is not None:
            context.after_commit = apply(context.after_commit, name, values, default)
    elif not context.is_in_block:
        return
    context.settings = apply(context.settings, name, values, default)


def set_variable(context: Context, statement: VariableSetStmt) -> None:
    """SET and RESET."""
    name = statement.name.lower()
    values = None
    if statement.kind not in {"VAR_SET_MULTI", "VAR_RESET_ALL"}:
        refuse_unknown(context, statement.name)
    match statement.kind:
        case "VAR_SET_VALUE":
            values = [_constant(node) for node in statement.args]
            set_value(context, name, values, is_local=statement.is_local)
        case "VAR_SET_DEFAULT" | "VAR_RESET":
            set_value(context, name, None, is_local=statement.is_local)
        case "VAR_RESET_ALL":
            name = "all"
            context.settings = default_settings(context.database)
            if context.after_commit is not None:
                context.after_commit = default_settings(context.database)
        case "VAR_SET_MULTI":
            name = name.lower()
    context.thing("set", None, "other", object_name=name, definition=_text(values) if values is not None else None)


def _constant(node: Node) -> str | int | bool | None:
    return node.A_Const.value if node.A_Const is not None else None


def _text(values: Sequence[Any]) -> str:
    return ", ".join("" if value is None else str(value) for value in values)


_WITH_HOLD = 1 << 5  # a bit of a cursor's options, see parsenodes.h

_TRANSACTION_ACTIONS: dict[str, Any] = {
    "TRANS_STMT_BEGIN": "begin",
    "TRANS_STMT_START": "begin",
    "TRANS_STMT_COMMIT": "commit",
    "TRANS_STMT_ROLLBACK": "rollback",
    "TRANS_STMT_ROLLBACK_TO": "rollback",
}


def transaction(context: Context, statement: TransactionStmt) -> None:
    """BEGIN, COMMIT, SAVEPOINT …: what they end and begin is the replay's business."""
    match statement.kind:
        case "TRANS_STMT_COMMIT_PREPARED":
            context.not_in_block("COMMIT PREPARED")
        case "TRANS_STMT_ROLLBACK_PREPARED":
            context.not_in_block("ROLLBACK PREPARED")
        case "TRANS_STMT_SAVEPOINT":
            context.only_in_block("SAVEPOINT")
        case "TRANS_STMT_ROLLBACK_TO":
            context.only_in_block("ROLLBACK TO SAVEPOINT")
        case "TRANS_STMT_RELEASE":
            context.only_in_block("RELEASE SAVEPOINT")
    words = statement.kind.removeprefix("TRANS_STMT_").replace("_", " ").lower()
    context.thing(
        _TRANSACTION_ACTIONS.get(statement.kind, "other"),
        None,
        "other",
        object_name=statement.savepoint_name or None,
        definition=words,
    )


def show(context: Context, statement: Whole) -> None:
    """SHOW: only its name matters, which the tree leaves out."""
    del statement
    refuse_shown(context)


def discard(context: Context, statement: DiscardStmt) -> None:
    """DISCARD ALL forgets the settings, and like DISCARD TEMP drops temporary tables."""
    if statement.target == "DISCARD_ALL":
        context.not_in_block("DISCARD ALL")
        if context.step.refusal is None:
            context.settings = default_settings(context.database)
    if statement.target in {"DISCARD_ALL", "DISCARD_TEMP"} and context.step.refusal is None:
        for name in [name for name in context.database.relations if name.schema == "pg_temp"]:
            context.database.forget(name)
    context.thing("other", None, "other", definition=statement.target.replace("_", " ").lower())


def prepare(context: Context, statement: PrepareStmt) -> None:
    """PREPARE: its statement runs with EXECUTE, but its tables are locked for the analysis already."""
    context.settings = _with_prepared(context.settings, statement)
    if context.after_commit is not None:
        context.after_commit = _with_prepared(context.after_commit, statement)


def _with_prepared(settings: Settings, statement: PrepareStmt) -> Settings:
    return replace(settings, others={**settings.others, f"prepared {statement.name}": statement.query})


def execute(context: Context, statement: ExecuteStmt) -> None:
    """EXECUTE runs the statement of a PREPARE."""
    query = context.settings.others.get(f"prepared {statement.name}")
    if not isinstance(query, dict):
        context.step.unseen = context.step.unseen or "a statement prepared elsewhere"
        return
    run_inner(context, query)


def explain(context: Context, statement: ExplainStmt) -> None:
    """EXPLAIN ANALYZE runs its statement; without ANALYZE it only locks what the statement reads and writes."""
    if any(option.DefElem is not None and is_on(option.DefElem.arg) for option in statement.options
           if option.DefElem is not None and option.DefElem.defname == "analyze"):  # fmt: skip
        run_inner(context, statement.query)


def declare_cursor(context: Context, statement: DeclareCursorStmt) -> None:
    """A cursor's query takes the locks of the query at once."""
    if not statement.options & _WITH_HOLD:
        context.only_in_block("DECLARE CURSOR")
    run_inner(context, statement.query)


def run_inner(context: Context, query: dict[str, Any]) -> None:
    """Interpret a statement that another one holds."""
    if context.run is None:
        return
    for kind, raw in query.items():
        context.run(context, kind, decode(kind, raw))


def is_on(value: Node | None) -> bool:
    """Whether an option of the form `(name)` or `(name value)` is switched on."""
    if value is None:
        return True
    if value.Boolean is not None:
        return value.Boolean.boolval
    if value.Integer is not None:
        return value.Integer.ival != 0
    if value.A_Const is not None:
        return value.A_Const.value not in {0, "off", "false", "0"}
    return value.text.lower() not in {"off", "false", "0"}


def nothing(context: Context, statement: Whole) -> None:
    """A statement without any effect that outlasts it."""
    del context, statement


def other(words: str) -> Callable[[Context, Any], None]:
    """The interpreter of a statement of which only its name is worth noting."""

    def interpret(context: Context, statement: Any) -> None:
        del statement
        context.thing("other", None, "other", definition=words)

    return interpret


HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "VariableSetStmt": set_variable,
    "VariableShowStmt": show,
    "TransactionStmt": transaction,
    "DiscardStmt": discard,
    "PrepareStmt": prepare,
    "ExecuteStmt": execute,
    "ExplainStmt": explain,
    "DeclareCursorStmt": declare_cursor,
    "DeallocateStmt": nothing,
    "FetchStmt": nothing,
    "ClosePortalStmt": nothing,
    "ListenStmt": nothing,
    "UnlistenStmt": nothing,
    "NotifyStmt": nothing,
    "LoadStmt": other("load"),
    "CheckPointStmt": other("checkpoint"),
    "ConstraintsSetStmt": other("set constraints"),
}
"""Statements."""
