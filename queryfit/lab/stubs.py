"""Captured functions in the lab: with their body where planning may look into it, else as stubs that refuse to run.

The planner inlines functions in SQL, so those keep their body, as long as running it can tell nothing wrong: a scalar
one that reads tables would find them empty and give the planner a constant that production does not have. All others
keep what the planner asks about (signature, volatility, strictness, cost, rows, parallel safety) and raise an error
with a SQLSTATE of our own when planning runs them: the statement is then not planned, and the reason is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pglast
from pglast import ast
from pglast.stream import RawStream
from pglast.visitors import Visitor

from queryfit.lab.facts import Row
from queryfit.lab.maker import Maker, Step
from queryfit.sql.names import quote_literal

STUB_SQLSTATE = "QF001"  # of the error that a stub raises
_KEPT_OPTIONS = frozenset(
    {"volatility", "strict", "security", "cost", "rows", "parallel", "set", "language", "as", "window"}
)
_HIDDEN_READS = frozenset({
    "query_to_xml", "table_to_xml", "cursor_to_xml", "schema_to_xml", "database_to_xml", "query_to_xmlschema",
    "table_to_xmlschema", "nextval", "currval", "lastval", "pg_relation_size", "pg_total_relation_size",
})  # fmt: skip


def steps(routines: Iterable[Row]) -> Iterator[Step]:
    """Functions, procedures and aggregates. What has its body stands in with a stub where the body is not taken."""
    rows = list(routines)
    sets = {row["name"] for row in rows if row["is_set_returning"]}
    for row in rows:
        if row["kind"] == "aggregate":
            yield from _aggregate(row)
            continue
        if row["kind"] == "window":
            yield Step("function", row["routine"], "select 1", "nothing", changes_plans=True)
            continue
        stub = _stub(row)
        whole = whole_text(row, sets)
        if whole is None:
            yield stub
        else:
            yield Step("function", row["routine"], whole, "CreateFunctionStmt", instead=_in_place(stub))


def _in_place(stub: Step) -> Callable[[Maker, str], Step | None]:
    def instead(_: Maker, reason: str) -> Step:
        lacks = f"a stub, because its body was not taken: {reason}"
        return Step(stub.kind, stub.name, stub.sql, stub.expects, lacks=lacks)

    return instead


def whole_text(row: Row, sets: frozenset[str] | set[str] = frozenset()) -> str | None:
    """The CREATE FUNCTION with its body, without what only a superuser may say; null where a stub has to do.

    `sets` are names of functions that return sets, and so may read tables unseen.
    """
    if row["language"] != "sql" or row["kind"] != "function" or not row["definition"]:
        return None
    try:
        statement = pglast.parse_sql(row["definition"])[0].stmt
        if not isinstance(statement, ast.CreateFunctionStmt):
            return None
        bodies = _bodies(statement)
        if not row["is_set_returning"] and any(_reads(body, sets) for body in bodies):
            return None
        statement.options = tuple(option for option in statement.options or () if option.defname in _KEPT_OPTIONS)
        return str(RawStream()(statement))
    except (pglast.parser.ParseError, ValueError, IndexError, AttributeError, NotImplementedError):
        return None


def _bodies(statement: Any) -> list[Any]:
    if statement.sql_body is not None:
        return [statement.sql_body]
    found: list[Any] = []
    for option in statement.options or ():
        if option.defname == "as":
            found += [parsed.stmt for parsed in pglast.parse_sql(option.arg[0].sval)]
    if not found:
        raise ValueError("a function without a body")
    return found


class _Looker(Visitor):
    def __init__(self, sets: Iterable[str]) -> None:
        self.reads = False
        self._sets = frozenset(sets) | _HIDDEN_READS

    def visit_RangeVar(self, _ancestors: Any, _node: Any) -> None:  # noqa: N802 -- as pglast calls it
        self.reads = True

    def visit_FuncCall(self, _ancestors: Any, node: Any) -> None:  # noqa: N802
        if node.funcname[-1].sval in self._sets:
            self.reads = True


def _reads(body: Any, sets: Iterable[str]) -> bool:
    looker = _Looker(sets)
    for node in body if isinstance(body, tuple) else (body,):
        for inner in node if isinstance(node, tuple) else (node,):
            looker(inner)
    return looker.reads


def _stub(row: Row) -> Step:
    parts = [f"create {row['kind']} {row['routine']}({_arguments(row)})"]
    if row["kind"] == "function":
        parts.append(f"returns {row['result']}")
        parts.append(row["volatility"])
        parts.append("strict" if row["is_strict"] else "called on null input")
        parts.append(f"parallel {row['parallel_safety']}")
        parts.append(f"cost {float(row['call_cost']):g}")
        if row["is_set_returning"]:
            parts.append(f"rows {max(1.0, float(row['expected_rows'])):g}")
    words = f"the lab does not have the code of {row['routine']}"
    body = f"begin raise exception using errcode = '{STUB_SQLSTATE}', message = {quote_literal(words)}; end"
    parts.append(f"language plpgsql as {quote_literal(body)}")
    # planning with a stub is as in production; what would run it is refused at that moment, by its own SQLSTATE
    return Step(
        "function", row["routine"], " ".join(parts), "CreateFunctionStmt", changes_plans=row["kind"] == "function"
    )


def _arguments(row: Row) -> str:
    """The argument list, with the defaults that calls may rely on."""
    if not row["defaulted_arguments"]:
        return str(row["arguments"])
    if row["definition"]:
        try:
            statement: Any = pglast.parse_sql(row["definition"])[0].stmt
            parameters = [one for one in statement.parameters or () if one.mode.value != "t"]
            return ", ".join(str(RawStream()(one)) for one in parameters)
        except (pglast.parser.ParseError, ValueError, IndexError, AttributeError, NotImplementedError):
            pass
    try:
        made: Any = pglast.parse_sql(f"create function x({row['arguments']}) returns int language sql as ''")[0].stmt
    except (pglast.parser.ParseError, ValueError):
        return str(row["arguments"])
    parameters = list(made.parameters or ())
    takers = [one for one in parameters if one.mode.value not in {"o", "t"}]
    optional = takers[len(takers) - row["defaulted_arguments"] :]
    return ", ".join(f"{RawStream()(one)}{' default null' if one in optional else ''}" for one in parameters)


def _aggregate(row: Row) -> Iterator[Step]:
    """An aggregate whose state is its result: what the planner asks about but for partial aggregation."""
    inputs = row["input_types"]
    state = row["result"]
    schema = row["routine"][: len(row["routine"]) - len(row["routine"].rpartition(".")[2])] or "public."
    name = f'{schema}"queryfit_state_{row["routine_oid"]}"'
    types = ", ".join([f"state {state}", *(_input_names(inputs))])
    body = f"begin raise exception using errcode = '{STUB_SQLSTATE}'; end"
    yield Step(
        "function", row["routine"],
        f"create function {name}({types}) returns {state} immutable parallel safe cost 1 language plpgsql"
        f" as {quote_literal(body)}",
        "CreateFunctionStmt",
    )  # fmt: skip
    yield Step(
        "function", row["routine"],
        f"create aggregate {row['routine']}({inputs or '*'}) (sfunc = {name}, stype = {state},"
        f" parallel = {row['parallel_safety']})",
        "DefineStmt",
    )  # fmt: skip


def _input_names(inputs: str) -> list[str]:
    if not inputs:
        return []
    made: Any = pglast.parse_sql(f"create function x({inputs}) returns int language sql as ''")[0].stmt
    return [f"a{number} {RawStream()(one)}" for number, one in enumerate(made.parameters or ())]


def leakproof(maker: Maker, connection: Any, routines: Iterable[Row]) -> None:
    """Say again of functions that they are leakproof, which only a superuser may; `connection` is one's."""
    for row in routines:
        if row["is_leakproof"] and row["kind"] == "function":
            signature = f"{row['routine']}({row['input_types']})"
            found = connection.execute(
                b"select format('alter function %%s leakproof', p.oid::regprocedure) from pg_proc as p"
                b" where p.oid = to_regprocedure(%s) and p.oid >= 16384",
                [signature],
            ).fetchone()
            if found is None:
                maker.miss("function", row["routine"], "it is not leakproof here")
            else:
                connection.execute(found[0].encode())
