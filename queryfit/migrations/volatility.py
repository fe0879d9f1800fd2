"""How far the value of an expression may differ from row to row: what decides if a default rewrites a table.

PostgreSQL (11 and later) evaluates a default once and stores it beside the table as long as nothing in it is volatile:
`now()` is stable, so that every old row gets the time of the ALTER TABLE; `random()` needs a value for each row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from queryfit.migrations import builtin
from queryfit.migrations.context import Context
from queryfit.migrations.model import DefaultKind, Function, Name
from queryfit.sql.ddl_parts import NOTHING, tree
from queryfit.sql.ddl_script import Unparsed, statements

_ORDER: dict[str, int] = {"constant": 0, "stable": 1, "unknown": 2, "volatile": 3}
_KINDS: dict[str, DefaultKind] = {
    "i": "constant",
    "immutable": "constant",
    "s": "stable",
    "stable": "stable",
    "v": "volatile",
    "volatile": "volatile",
}

_EXTENSIONS: dict[str, DefaultKind] = {
    # uuid-ossp, pgcrypto
    "uuid_generate_v1": "volatile", "uuid_generate_v1mc": "volatile", "uuid_generate_v4": "volatile",
    "uuid_generate_v3": "constant", "uuid_generate_v5": "constant", "uuid_nil": "constant", "uuid_ns_dns": "constant",
    "uuid_ns_url": "constant", "uuid_ns_oid": "constant", "uuid_ns_x500": "constant", "gen_salt": "volatile",
    "gen_random_bytes": "volatile", "crypt": "constant", "digest": "constant", "hmac": "constant",
    # unaccent, pg_trgm, hstore, ltree
    "unaccent": "stable", "similarity": "constant", "show_trgm": "constant", "text2ltree": "constant",
    # pg_uuidv7, pg_idkit, nanoid
    "uuid_generate_v7": "volatile", "gen_ulid": "volatile", "nanoid": "volatile",
}  # fmt: skip
"""Functions of extensions that defaults often call, where no migration made a function of that name."""

_USUALLY: dict[str, DefaultKind] = {
    # volatile only before 14, for a time with time zone; `AT TIME ZONE` is this function
    "timezone": "constant",
}


class Volatility(NamedTuple):
    """`culprit` is the function that makes it so, as `random()`; empty for a constant."""

    kind: DefaultKind
    culprit: str = ""


CONSTANT = Volatility("constant")


def volatility(  # noqa: C901 -- one walk
    context: Context, expression: Raw, depth: int = 0
) -> Volatility:
    """How volatile an expression is by the functions that it calls: built-in ones and those of the migrations.

    A call of a plain SQL function counts as its body does, which PostgreSQL puts in its place. Operators, and the
    functions behind casts, are stable at most. Constants such as `'now'::timestamptz` are evaluated where the
    expression is read: constant. `unknown`: it calls a function that nobody made so far.
    """
    if expression is NOTHING:
        return CONSTANT
    text = bytes(expression)
    if b'"FuncCall"' not in text:
        return Volatility("stable", "the time or user of the session") if b'"SQLValueFunction"' in text else CONSTANT
    worst = CONSTANT
    pending: list[Any] = [tree(expression)]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
            continue
        if not isinstance(node, dict):
            continue
        for kind, value in node.items():
            found = CONSTANT
            if kind == "FuncCall":
                found = _of_call(context, value, depth)
            elif kind == "SQLValueFunction":
                found = Volatility("stable", "the time or user of the session")
            if _ORDER[found.kind] > _ORDER[worst.kind]:
                worst = found
            if isinstance(value, dict | list):
                pending.append(value)
    return worst


def _of_call(context: Context, call: dict[str, Any], depth: int) -> Volatility:
    parts = [part["String"].get("sval", "") for part in call.get("funcname", []) if "String" in part]
    if not parts:
        return Volatility("unknown")
    return Volatility(of_function(context, parts, len(call.get("args", [])), depth), f"{parts[-1]}()")


def of_function(context: Context, parts: list[str], arguments: int, depth: int = 0) -> DefaultKind:
    """How volatile a function is, by its name as it is written and the number of its arguments.

    Where several functions fit, the most volatile one counts; `pg_catalog` comes first, as it does on a search path.
    """
    name = parts[-1]
    schema = parts[-2] if len(parts) > 1 else None
    if schema in {None, "pg_catalog"}:
        kind = _built_in(name, arguments)
        if kind is not None:
            return kind
    functions = context.database.functions
    for place in (schema,) if schema is not None else context.settings.search_path:
        overloads = functions.get(Name(place, name))
        if overloads:
            fitting = [one for one in overloads if len(one.arguments) == arguments] or overloads
            return max((_of_model(context, one, depth) for one in fitting), key=_ORDER.__getitem__)
    return _EXTENSIONS.get(name, "unknown")


def _of_model(context: Context, function: Function, depth: int) -> DefaultKind:
    """How volatile a function of the migrations is; one in SQL that only says so may come down to less."""
    if (
        function.volatility != "volatile"
        or function.language != "sql"
        or function.is_security_definer
        or function.has_settings
        or function.is_set
        or depth >= _DEEPEST
    ):
        return _KINDS[function.volatility]
    expression = _inlined(function)
    if expression is NOTHING or b'"SubLink"' in bytes(expression):
        return "volatile"
    kind = volatility(context, expression, depth + 1).kind
    if function.is_strict and kind != "volatile":
        return "unknown"  # put in place only where its expression is strict too
    return kind


def _inlined(function: Function) -> Raw:
    """The expression of a function that is one SELECT of one expression and nothing else, or RETURN of one."""
    node: Any
    if function.sql_body is not NOTHING:
        node = tree(function.sql_body)
        for key in ("List", "List"):
            items = node.get(key, {}).get("items", []) if isinstance(node, dict) else []
            node = items[0] if len(items) == 1 else node
        returned = node.get("ReturnStmt", {}).get("returnval")
        if returned is not None:
            return Raw(msgspec.json.encode(returned))
        select = node.get("SelectStmt", {})
    else:
        try:
            found = statements(function.body)
        except Unparsed:
            return NOTHING
        if len(found) != 1 or found[0].kind != "SelectStmt":
            return NOTHING
        select = tree(found[0].raw)
    if not select.keys() <= _PLAIN_SELECT or len(select.get("targetList", [])) != 1:
        return NOTHING
    return Raw(msgspec.json.encode(select["targetList"][0].get("ResTarget", {}).get("val")))


_DEEPEST = 5
_PLAIN_SELECT = {"targetList", "limitOption", "op"}


def _built_in(name: str, arguments: int) -> DefaultKind | None:
    if name in builtin.IMMUTABLE:
        return "constant"
    usual = _USUALLY.get(name)
    if usual is not None:
        return usual
    exact = builtin.BY_ARGUMENTS.get(f"{name}/{arguments}")
    if exact is not None:
        return _KINDS[exact]
    if name in builtin.STABLE:
        return "stable"
    return "volatile" if name in builtin.VOLATILE else None
