"""Calls of functions and procedures that the migrations made: what their bodies do with these arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from queryfit.migrations.context import Context, Nested
from queryfit.migrations.interpret.blocks import Block, Inner, read_block
from queryfit.migrations.interpret.constants import Value, evaluate
from queryfit.migrations.model import Function
from queryfit.sql import ddl_parts, ddl_script
from queryfit.sql.names import quote_identifier

_WORD = re.compile(r"\w+")
_WRITES = re.compile(rb'"(?:Insert|Update|Delete|Merge)Stmt":')
_CHANGES = frozenset({
    "create", "alter", "drop", "truncate", "execute", "call", "comment", "grant", "revoke", "reindex", "refresh",
    "lock", "cluster", "insert", "update", "delete", "merge", "copy",
})  # fmt: skip
_CALLED = re.compile(r"(\w+)\s*\(")
_INPUTS = frozenset({"FUNC_PARAM_DEFAULT", "FUNC_PARAM_IN", "FUNC_PARAM_INOUT"})


def follow(context: Context, parts: Sequence[str], arguments: Sequence[Any]) -> bool:
    """Run the body of the function with these arguments, as steps behind the call's own.

    False: something of it cannot be seen, perhaps all.
    """
    functions = context.database.functions
    fitting = [
        function for function in functions.get(context.qualify(parts, functions), ()) if _takes(function, arguments)
    ]
    if len(fitting) != 1 or context.run_nested is None:
        return False
    function = fitting[0]
    block = _block(function, _values(function, arguments))
    if block is None:
        return False
    if block.raised is not None and surely_runs(context, function):
        context.refuse(block.raised)
        return True
    settings, step = context.settings, context.step
    if function.search_path is not None:
        context.settings = replace(settings, search_path=function.search_path)
    for inner in block.statements:
        context.run_nested(
            context,
            Nested(inner.sql, step.start, step.end, is_conditional=inner.is_conditional, control=inner.control),
        )
    if function.search_path is not None:
        context.settings = replace(context.settings, search_path=settings.search_path)
    return block.unseen is None and hidden(context, function.body, block) is None


_SELECT = re.compile(r"\s*(?:select|perform)\b", re.IGNORECASE)
_OTHER_CLAUSES = re.compile(
    r"\b(?:from|where|case|limit|offset|having|with|union|intersect|except|coalesce|and|or|values)\b", re.IGNORECASE
)


def surely_runs(context: Context, function: Function) -> bool:
    """The statement calls the function whatever rows there are: CALL, or a SELECT of nothing else."""
    if context.step.kind == "CallStmt":
        return True
    if context.step.kind != "SelectStmt" or function.is_strict or function.is_set:
        return False
    step = context.step
    text = context.sql[step.start : step.end] if context.is_outermost else context.sql
    return _SELECT.match(text) is not None and _OTHER_CLAUSES.search(text) is None


def _takes(function: Function, arguments: Sequence[Any]) -> bool:
    inputs = [parameter for parameter in function.parameters if parameter.mode in _INPUTS]
    required = sum(parameter.default is ddl_parts.NOTHING for parameter in inputs)
    return len(inputs) == len(function.arguments) and required <= len(arguments) <= len(inputs)


def _values(function: Function, arguments: Sequence[Any]) -> dict[str, Value]:
    """The values of parameters, by name and by place (`$1`), where they are constants."""
    inputs = [parameter for parameter in function.parameters if parameter.mode in _INPUTS]
    given: dict[str, Any] = {}
    for parameter, argument in zip(inputs, arguments, strict=False):
        named = argument.get("NamedArgExpr")
        if named is None:
            given[parameter.name] = argument
        else:
            given[named.get("name", "")] = named.get("arg", {})
    found: dict[str, Value] = {}
    for place, parameter in enumerate(inputs, 1):
        node = given[parameter.name] if parameter.name in given else ddl_parts.tree(parameter.default)
        value = evaluate(node, {}) if node else None
        if value is not None:
            found[parameter.name] = found[f"${place}"] = value
    return found


def _block(function: Function, values: Mapping[str, Value]) -> Block | None:
    """The statements of a body; None where it cannot be read at all."""
    if function.is_of_triggers or function.sql_body is not ddl_parts.NOTHING:
        return None
    if function.language == "sql":
        try:
            ddl_script.statements(function.body)
        except ddl_script.Unparsed:
            return None
        return Block([Inner(function.body)])
    if function.language != "plpgsql":
        return None
    block = read_block(function.body, header=_header(function), variables=values)
    return block if block.refusal is None and block.is_read else None


def _header(function: Function) -> str:
    """A declaration to read the body with; the types of parameters do not matter for that."""
    parameters = []
    columns = []
    for parameter in function.parameters:
        name = quote_identifier(parameter.name) + " " if parameter.name else ""
        if parameter.mode == "FUNC_PARAM_TABLE":
            columns.append(f"{name}text")
        else:
            mode = parameter.mode.removeprefix("FUNC_PARAM_").replace("DEFAULT", "IN")
            parameters.append(f"{mode} {name}text")
    listed = ", ".join(parameters)
    if function.is_procedure:
        return f"CREATE PROCEDURE f({listed}) LANGUAGE plpgsql AS"
    if columns:
        returns = f"RETURNS TABLE ({', '.join(columns)})"
    elif any(" OUT " in f" {parameter}" or parameter.startswith("INOUT") for parameter in parameters):
        returns = ""
    elif function.is_set:
        returns = "RETURNS SETOF text"
    else:
        is_void = function.returns is not None and function.returns.name == "void"
        returns = "RETURNS void" if is_void else "RETURNS text"
    return f"CREATE FUNCTION f({listed}) {returns} LANGUAGE plpgsql AS"


def hidden(context: Context, body: str, block: Block) -> str | None:
    """What a body hides in its expressions: the call of a function that may change something."""
    functions = context.database.functions
    if not functions:
        return None
    wanted = _called(body)
    seen: set[str] | None = None
    for name, overloads in functions.items():
        if name.name in wanted and any(one.volatility == "volatile" and may_write(context, one) for one in overloads):
            if seen is None:
                seen = {called for inner in block.statements for called in _CALLED.findall(inner.sql.lower())}
            if name.name not in seen:
                return f"what {name.name}() does"
    return None


@lru_cache(maxsize=256)
def _called(body: str) -> frozenset[str]:
    """Names in a body that an opening bracket follows; a migration may call the same function a hundred times."""
    return frozenset(_CALLED.findall(body.lower()))


def may_write(context: Context, function: Function) -> bool:
    """Whether a run of the function, or of one that it calls, can change rows or objects.

    It is found out when somebody asks, which is seldom. Anything but SQL and PL/pgSQL may.
    """
    if function.may_write is None:
        function.may_write = _may_write(context, function)
    return function.may_write


def _may_write(context: Context, function: Function) -> bool:
    seen = {function.name}
    pending = [function]
    while pending:
        one = pending.pop()
        if one.language not in {"sql", "plpgsql"}:
            return True
        if one.sql_body is not ddl_parts.NOTHING:
            if _WRITES.search(memoryview(one.sql_body)) is not None:
                return True
            continue
        words = set(_WORD.findall(one.body.lower()))
        if not words or not words.isdisjoint(_CHANGES):
            return True
        for name, others in context.database.functions.items():
            if name.name in words and name not in seen:
                seen.add(name)
                pending += others
    return False
