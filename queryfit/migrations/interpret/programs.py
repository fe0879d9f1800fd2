"""Functions and procedures, CALL, and the statements inside DO blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queryfit.migrations.context import Context, Nested
from queryfit.migrations.interpret.blocks import Block, Inner, read_block
from queryfit.migrations.interpret.calls import follow, hidden
from queryfit.migrations.interpret.setting_names import refuse_of_function
from queryfit.migrations.model import Function, Name, Parameter, Type
from queryfit.sql.ddl import AlterFunctionStmt, CallStmt, CreateFunctionStmt, DoStmt
from queryfit.sql.ddl_parts import NOTHING, DefElem, Node, kept, names, tree

_INPUTS = frozenset({"FUNC_PARAM_DEFAULT", "FUNC_PARAM_IN", "FUNC_PARAM_INOUT", "FUNC_PARAM_VARIADIC"})
_VOLATILITIES: dict[str, Any] = {"immutable": "immutable", "stable": "stable", "volatile": "volatile"}


def create_function(context: Context, statement: CreateFunctionStmt) -> None:
    """CREATE FUNCTION and PROCEDURE; the body is not looked at, it runs later."""
    functions = context.database.functions
    parts = names(statement.funcname)
    path = context.settings.search_path
    name = Name(parts[-2], parts[-1]) if len(parts) > 1 else Name(path[0] if path else "public", parts[-1])
    function = Function(
        name,
        _input_types(context, statement.parameters),
        returns=context.type_of(statement.returnType),
        is_procedure=statement.is_procedure,
        born=context.born,
    )
    if statement.returnType is not None and statement.returnType.setof:
        function.returns = None
        function.is_set = True
    function.sql_body = kept(statement.sql_body)
    function.parameters = tuple(
        Parameter(node.FunctionParameter.name, node.FunctionParameter.mode, kept(node.FunctionParameter.defexpr))
        for node in statement.parameters
        if node.FunctionParameter is not None
    )
    _take(context, function, statement.options)
    overloads = functions.setdefault(name, [])
    found = next((other for other in overloads if _is_same(other.arguments, function.arguments)), None)
    if found is not None:
        if not statement.replace:
            context.refuse(f'function "{name.name}" already exists with same argument types')
            return
        if found.is_procedure != function.is_procedure:
            context.refuse("cannot change routine kind")
            return
        if _differ(found.returns, function.returns):
            context.refuse("cannot change return type of existing function")
            return
        if renamed := _renamed(found, function):
            context.refuse(f'cannot change name of input parameter "{renamed}"')
            return
        overloads.remove(found)
        function.born = found.born
    overloads.append(function)
    context.thing(
        "replace function" if found is not None else "create function",
        name.text,
        "function",
        definition="security definer" if function.is_security_definer else None,
        # a body in the form of the standard is bound when it is made, whatever the path is later
        is_validated=function.has_search_path or function.sql_body is not NOTHING
        if function.is_security_definer
        else None,
        is_new=found is None,
    )


def _renamed(old: Function, new: Function) -> str:
    """The first input parameter that had a name and has another one now; empty for none."""
    before, after = (
        [parameter.name for parameter in function.parameters if parameter.mode in _INPUTS] for function in (old, new)
    )
    return next((name for name, other in zip(before, after, strict=False) if name and name != other), "")


def _input_types(context: Context, parameters: list[Node]) -> tuple[Type | None, ...]:
    found = []
    for node in parameters:
        parameter = node.FunctionParameter
        if parameter is not None and parameter.mode in _INPUTS:
            found.append(_plain(context.type_of(parameter.argType)))
    return tuple(found)


def _plain(kind: Type | None) -> Type | None:
    """A function knows no modifiers of types."""
    return kind._replace(typmods=()) if kind is not None and kind.typmods else kind


def _is_same(one: tuple[Type | None, ...], other: tuple[Type | None, ...]) -> bool:
    """Surely the same arguments."""
    return len(one) == len(other) and all(a is not None and a == b for a, b in zip(one, other, strict=True))


def _differ(one: Type | None, other: Type | None) -> bool:
    if one is None or other is None or not one.schema or not other.schema:
        return False
    return _plain(one) != _plain(other)


def _take(context: Context, function: Function, options: list[Node]) -> None:  # noqa: C901 -- a table
    """Take in the options of CREATE or ALTER FUNCTION."""
    for node in options:
        chosen = node.DefElem
        if chosen is None:
            continue
        match chosen.defname:
            case "language":
                function.language = chosen.arg.text.lower() if chosen.arg is not None else "sql"
            case "volatility":
                function.volatility = _VOLATILITIES.get(chosen.arg.text if chosen.arg is not None else "", "volatile")
            case "security":
                function.is_security_definer = _is_true(chosen)
            case "as":
                function.body = chosen.arg.List.items[0].text if chosen.arg is not None and chosen.arg.List else ""
            case "strict":
                function.is_strict = _is_true(chosen)
            case "set":
                function.has_settings = True
                setting = chosen.arg.VariableSetStmt if chosen.arg is not None else None
                if setting is not None:
                    refuse_of_function(context, setting)
                if setting is not None and setting.kind == "VAR_RESET_ALL":
                    function.has_search_path = False
                elif setting is not None and setting.name.lower() == "search_path":
                    function.has_search_path = setting.kind in {"VAR_SET_VALUE", "VAR_SET_CURRENT"}
                    if setting.kind == "VAR_SET_VALUE":
                        path = [entry.A_Const.value for entry in setting.args if entry.A_Const is not None]
                        function.search_path = tuple(str(schema) for schema in path if schema not in {"", "$user"})


def _is_true(chosen: DefElem) -> bool:
    return chosen.arg is not None and chosen.arg.Boolean is not None and chosen.arg.Boolean.boolval


def alter_function(context: Context, statement: AlterFunctionStmt) -> None:
    """ALTER FUNCTION … SET, SECURITY, IMMUTABLE … changes how a function runs."""
    if statement.func is None:
        return
    functions = context.database.functions
    name = context.qualify(names(statement.func.objname), functions)
    overloads = functions.get(name, [])
    if not statement.func.args_unspecified:
        arguments = tuple(_plain(context.type_of(node.TypeName)) for node in statement.func.objargs)
        overloads = [function for function in overloads if _is_same(function.arguments, arguments)]
    function = overloads[0] if len(overloads) == 1 else Function(name, ())
    _take(context, function, statement.actions)
    is_security = any(node.DefElem is not None and node.DefElem.defname == "security" for node in statement.actions)
    context.thing(
        "alter object",
        name.text,
        "function",
        definition="security definer" if is_security and function.is_security_definer else None,
        is_validated=function.has_search_path if function.is_security_definer else None,
        is_known=bool(overloads),
    )


def call(context: Context, statement: CallStmt) -> None:
    """CALL: what a procedure does can be seen if the migrations made it, and its arguments are constants."""
    if statement.funccall is None:
        return
    parts = names(statement.funccall.funcname)
    name = context.qualify(parts, context.database.functions)
    context.thing("call", name.text, "function")
    if not follow(context, parts, [tree(argument) for argument in statement.funccall.args]):
        context.step.unseen = context.step.unseen or f"what the procedure {name.text} does"


# DO


def do(context: Context, statement: DoStmt) -> None:
    """DO: the statements of the block run one after the other, in one transaction."""
    body, language = "", "plpgsql"
    for node in statement.args:
        option = node.DefElem
        if option is not None and option.arg is not None:
            if option.defname == "as":
                body = option.arg.text
            elif option.defname == "language":
                language = option.arg.text.lower()
    if language != "plpgsql":
        context.step.unseen = f"a block in {language}"
        return
    block = read_block(body)
    context.step.unseen = context.step.unseen or block.unseen or hidden(context, body, block)
    if block.refusal is not None:
        context.refuse(block.refusal)
        return
    if block.raised is not None:
        context.refuse(block.raised)
        return
    _run(context, body, block)


def _run(context: Context, body: str, block: Block) -> None:
    if context.run_nested is None:
        return
    step = context.step
    # a body between dollar quotes stands in the file as it is; one with doubled quotes does not
    offset = context.sql.find(body, step.start, step.end) if context.is_outermost and body else -1
    for inner in block.statements:
        start, end = step.start, step.end
        if offset >= 0 and inner.start >= 0:
            start, end = offset + inner.start, offset + inner.end
        context.run_nested(context, _nested(inner, start, end))


def _nested(inner: Inner, start: int, end: int) -> Nested:
    return Nested(inner.sql, start, end, is_conditional=inner.is_conditional, control=inner.control)


HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "CreateFunctionStmt": create_function,
    "AlterFunctionStmt": alter_function,
    "CallStmt": call,
    "DoStmt": do,
}
"""Statements."""
