"""Configuration parameters that PostgreSQL does not know. Names with a dot are anybody's."""

from __future__ import annotations

import re
from functools import cache

from queryfit.migrations.context import Context
from queryfit.sql import ddl_script
from queryfit.sql.ddl_parts import VariableSetStmt, tree

_COMMON = frozenset({
    "search_path", "lock_timeout", "statement_timeout", "client_min_messages", "timezone", "client_encoding", "role",
    "standard_conforming_strings", "check_function_bodies", "row_security", "xmloption", "default_tablespace",
    "default_table_access_method", "idle_in_transaction_session_timeout", "session_replication_role",
    "maintenance_work_mem", "work_mem", "constraint_exclusion", "session_authorization",
})  # fmt: skip
"""In every version, and most of what is ever set: for these the list of all is not loaded."""

_NAME = re.compile(r'\b(?:set|reset)\s+("(?:[^"]|"")+"|[\w.]+)', re.IGNORECASE)
_SHOW = re.compile(r'\s*show\s+("(?:[^"]|"")+"|[\w.]+)[\s;]*', re.IGNORECASE)
_CALL = re.compile(r"\s*(?:select|perform)\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(", re.IGNORECASE)
_OTHER_WORDS = re.compile(r"\b(?:from|where|case|limit|offset|having|union|intersect|except|coalesce)\b", re.IGNORECASE)


@cache
def _names(version: int) -> frozenset[str]:
    from queryfit.migrations.settings_known import NAMES  # noqa: PLC0415 -- few scripts set what is not common

    found = set()
    for word in NAMES.split():
        name, _, versions = word.partition("=")
        first, _, last = versions.partition("-")
        if (not first or version >= int(first)) and (not last or version <= int(last)):
            found.add(name)
    return frozenset(found)


def refuse_unknown(context: Context, name: str) -> None:
    """Refuse a parameter that no server of the version knows, in the server's words."""
    lower = name.lower()
    if lower not in _COMMON and "." not in lower and lower and lower not in _names(context.version):
        context.refuse(f'unrecognized configuration parameter "{name}"')


def refuse_of_function(context: Context, setting: VariableSetStmt) -> None:
    """SET of CREATE and ALTER FUNCTION."""
    if setting.kind != "VAR_RESET_ALL":
        refuse_unknown(context, setting.name)


def refuse_shown(context: Context) -> None:
    """SHOW."""
    match = _SHOW.fullmatch(_text(context))
    if match is not None and (name := _unquoted(match[1])) != "all":
        refuse_unknown(context, name)


def refuse_altered(context: Context, *, may_reset: bool) -> None:
    """ALTER ROLE, DATABASE and SYSTEM … SET. `may_reset`: RESET takes any name."""
    text = _text(context)
    if all(_unquoted(name).lower() in _COMMON for name in _NAME.findall(text)):
        return
    try:
        parsed = ddl_script.statements(text)
    except ddl_script.Unparsed:
        return
    if len(parsed) == 1:
        setting = (tree(parsed[0].raw) or {}).get("setstmt", {})
        kind = setting.get("kind")
        if kind != "VAR_RESET_ALL" and not (may_reset and kind == "VAR_RESET"):
            refuse_unknown(context, setting.get("name", ""))


def refuse_called(context: Context, name: str) -> None:
    """set_config() in a SELECT that surely runs it: alone, and of no table."""
    lower = name.lower()
    if lower in _COMMON or "." in lower or context.step.kind != "SelectStmt":
        return
    text = _text(context)
    if _CALL.match(text) is not None and _OTHER_WORDS.search(text) is None:
        refuse_unknown(context, name)


def _text(context: Context) -> str:
    step = context.step
    return context.sql[step.start : step.end] if context.is_outermost else context.sql


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
