"""What a PL/pgSQL block runs: its statements in their order, with the strings that it puts together from constants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct, field
from pglast.parser import ParseError, parse_plpgsql_json, parse_sql_json

from queryfit.sql.ddl import refusal
from queryfit.sql.names import quote_identifier, quote_literal

RUN_TIME = "EXECUTE of a string put together at run time"
MOST_TURNS = 100
"""A loop over constants is followed turn by turn, at most that often."""

Value = str | list[str]


class Inner(Struct):
    """A statement of a block; `start` and `end` are places in the body's text, -1 where they are not known."""

    sql: str
    start: int = -1
    end: int = -1
    is_conditional: bool = False
    control: Literal["", "commit", "rollback"] = ""  # ends the transaction instead of running `sql`


class Block(Struct):
    statements: list[Inner] = field(default_factory=list)
    unseen: str | None = None
    refusal: str | None = None


_QUOTE = "$queryfit{}$"


def read_block(body: str) -> Block:
    """Read the body of a DO block. Never raises: what cannot be read is said in the result."""
    if (reason := refusal(body)) is not None:
        return Block(unseen=reason)
    if body.upper().count("BEGIN") + body.upper().count("LOOP") + body.upper().count("IF") > MOST_NESTED:
        return Block(unseen="the block is too large")
    number = 0
    while (quote := _QUOTE.format(number or "")) in body:
        number += 1
    try:
        try:
            parsed = parse_plpgsql_json(f"DO {quote}{body}{quote}")
        except ParseError as error:
            if not str(error.args[0]).startswith(_LIMIT):
                raise
            parsed = parse_plpgsql_json(f"DO {quote}{_plain_types(body)}{quote}")
        function = msgspec.json.decode(parsed)[0]["PLpgSQL_function"]
    except ParseError as error:
        message = str(error.args[0])
        is_sure = any(words in message for words in _SURE)
        return Block(refusal=message) if is_sure else Block(unseen=f"the block cannot be read: {message}")
    except (RecursionError, MemoryError, ValueError, IndexError, KeyError, UnicodeError):
        return Block(unseen="the block cannot be read")
    reader = _Reader(body, function)
    try:
        reader.statements([function.get("action", {})], is_conditional=False)
    except RecursionError:
        return Block(unseen="the block nests too deeply")
    return Block(reader.found, reader.unseen)


MOST_NESTED = 20_000
"""Words that open a part of a block: the parser nests one C frame and more for each, if they nest."""

_SURE = ("syntax error", "unexpected end", "missing ")
_LIMIT = "Not implemented"  # the parser outside a server knows no types of schemas
_TYPES = re.compile(
    r"""(?<=\s)(?:"[^"]+"|[a-z_]\w*)(?:\.(?:"[^"]+"|[a-z_]\w*)){1,2}(%(?:row)?type)?(?=(?:\[\])*\s*(?:;|:?=|default\b|not\s+null\b))""",
    re.IGNORECASE,
)


def _plain_types(body: str) -> str:
    """The body with simple types for variables of a schema's types, each as long as it was."""
    end = re.search(r"\bbegin\b", body, re.IGNORECASE)
    head = body[: end.start()] if end else body
    return _TYPES.sub(lambda match: _word(match).ljust(len(match[0])), head) + body[len(head) :]


def _word(match: re.Match[str]) -> str:
    return "record" if (match[1] or "").lower() == "%rowtype" else "text"


class _Reader:
    def __init__(self, body: str, function: Any) -> None:
        self._body = body
        self._lines = [0, *(match.end() for match in re.finditer("\n", body))]
        self._after: dict[int, int] = {}  # line → where the search for its next statement goes on
        datums: list[Any] = [next(iter(entry.values()), {}) for entry in function.get("datums", [])]
        self._names = {number: str(datum.get("refname", "")) for number, datum in enumerate(datums)}
        self._variables: dict[str, Value] = {}
        self._take_constants(datums, function.get("action", {}))
        self.found: list[Inner] = []
        self.unseen: str | None = None

    def statements(self, entries: Sequence[Any], *, is_conditional: bool) -> None:
        for entry in entries:
            for kind, value in entry.items():
                self._statement(kind.removeprefix("PLpgSQL_stmt_"), value, is_conditional)

    def _statement(self, kind: str, value: Any, is_conditional: bool) -> None:  # noqa: C901 -- a table
        match kind:
            case "block":
                handlers = value.get("exceptions", {}).get("PLpgSQL_exception_block", {}).get("exc_list", [])
                self.statements(value.get("body", []), is_conditional=is_conditional or bool(handlers))
                for handler in handlers:
                    self.statements(handler.get("PLpgSQL_exception", {}).get("action", []), is_conditional=True)
            case "execsql":
                self._add(value, _query(value.get("sqlstmt")), is_conditional)
            case "perform" | "call":
                self._add(value, _query(value.get("expr")), is_conditional)
            case "dynexecute" | "dynfors":
                self._execute(value, is_conditional)
                self.statements(value.get("body", []), is_conditional=True)
            case "foreach_a":
                self._for_each(value, is_conditional)
            case "if":
                self.statements(value.get("then_body", []), is_conditional=True)
                for other in value.get("elsif_list", []):
                    self.statements(other.get("PLpgSQL_if_elsif", {}).get("stmts", []), is_conditional=True)
                self.statements(value.get("else_body", []), is_conditional=True)
            case "case":
                for other in value.get("case_when_list", []):
                    self.statements(other.get("PLpgSQL_case_when", {}).get("stmts", []), is_conditional=True)
                self.statements(value.get("else_stmts", []), is_conditional=True)
            case "loop" | "while" | "fori" | "fors" | "forc":
                self.statements(value.get("body", []), is_conditional=True)
            case "commit" | "rollback":
                control: Any = kind
                self.found.append(Inner("", *self._place(value, kind), is_conditional, control))

    def _add(self, value: Any, sql: str, is_conditional: bool) -> None:
        if sql.strip():
            self.found.append(Inner(sql, *self._place(value, sql), is_conditional))

    def _execute(self, value: Any, is_conditional: bool) -> None:
        expression = _query(value.get("query"))
        sql = self._value(expression)
        if isinstance(sql, str):
            start, _ = self._place(value, "execute")
            _, end = self._place(value, expression)
            self.found.append(Inner(sql, start, max(end, start), is_conditional))
        else:
            self.unseen = RUN_TIME

    def _for_each(self, value: Any, is_conditional: bool) -> None:
        """FOREACH … IN ARRAY: over constants, one turn after the other."""
        body = value.get("body", [])
        values = self._value(_query(value.get("expr")))
        name = self._names.get(value.get("varno", -1))
        if not isinstance(values, list) or name is None or len(values) > MOST_TURNS:
            self.statements(body, is_conditional=True)
            return
        places = dict(self._after)
        for turn in values:
            self._after = dict(places)
            self._variables[name] = turn
            self.statements(body, is_conditional=is_conditional)
        self._variables.pop(name, None)

    # places

    def _place(self, value: Any, text: str) -> tuple[int, int]:
        """Where a text of the statement stands: from its line on, behind the statement before it on that line."""
        line = value.get("lineno", 0)
        if not 0 < line <= len(self._lines):
            return -1, -1
        begin = max(self._after.get(line, 0), self._lines[line - 1])
        wanted = text.strip().removeprefix("SELECT ") if "expr" in value else text.strip()
        start = self._body.find(wanted, begin)
        if start < 0:
            start = self._body.lower().find(wanted.lower(), begin)
        if start < 0:
            return -1, -1
        self._after[line] = start
        return start, start + len(wanted)

    # constants

    def _take_constants(self, datums: Sequence[Any], action: Any) -> None:
        """Variables with a constant default that nothing assigns to."""
        assigned = set(_assigned(action))
        names = list(self._names.values())
        for number, datum in enumerate(datums):
            name, default = self._names[number], datum.get("default_val")
            if default is not None and number not in assigned and names.count(name) == 1:
                value = self._value(_query(default))
                if value is not None:
                    self._variables[name] = value

    def _value(self, expression: str) -> Value | None:
        """What an expression comes to, where it is put together from constants only."""
        try:
            parsed = msgspec.json.decode(parse_sql_json(f"SELECT {expression}"))
            target = parsed["stmts"][0]["stmt"]["SelectStmt"]["targetList"][0]["ResTarget"]["val"]
            return _evaluate(target, self._variables)
        except (ParseError, RecursionError, KeyError, IndexError, ValueError, UnicodeError):
            return None


def _query(expression: Any) -> str:
    return str((expression or {}).get("PLpgSQL_expr", {}).get("query", ""))


def _assigned(action: Any) -> Iterator[int]:
    """Numbers of the variables that statements assign to, FOREACH aside."""
    pending = [action]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            for kind, value in item.items():
                if isinstance(value, int):
                    if kind in {"varno", "target"}:
                        yield value
                elif kind == "PLpgSQL_stmt_foreach_a":
                    pending.append(value.get("body", []))
                else:
                    pending.append(value)


def _evaluate(node: Any, variables: Mapping[str, Value]) -> Value | None:  # noqa: PLR0911 -- a table
    """The value of an expression over constants; None where it is not one."""
    kind, value = next(iter(node.items()))
    match kind:
        case "A_Const":
            return _constant(value)
        case "TypeCast":
            found = _evaluate(value.get("arg", {}), variables)
            bounds = value.get("typeName", {}).get("arrayBounds")
            if bounds and isinstance(found, str):
                return found[1:-1].split(",") if re.fullmatch(r"\{[\w,]+\}", found) else None
            return found
        case "A_ArrayExpr":
            items = [_evaluate(entry, variables) for entry in value.get("elements", [])]
            return [entry for entry in items if isinstance(entry, str)] if _all_texts(items) else None
        case "ColumnRef":
            parts = [part.get("String", {}).get("sval", "") for part in value.get("fields", [])]
            return variables.get(parts[0]) if len(parts) == 1 else None
        case "A_Expr" if [part.get("String", {}).get("sval") for part in value.get("name", [])] == ["||"]:
            left, right = _evaluate(value["lexpr"], variables), _evaluate(value["rexpr"], variables)
            return left + right if isinstance(left, str) and isinstance(right, str) else None
        case "FuncCall":
            return _call(value, variables)
    return None


def _all_texts(items: Sequence[Any]) -> bool:
    return all(isinstance(entry, str) for entry in items)


def _constant(value: Any) -> str | None:
    if "sval" in value:
        return str(value["sval"].get("sval", ""))
    if "ival" in value:
        return str(value["ival"].get("ival", 0))
    if "fval" in value:
        return str(value["fval"].get("fval", "0"))
    return None


def _call(call: Any, variables: Mapping[str, Value]) -> str | None:
    name = [part.get("String", {}).get("sval", "") for part in call.get("funcname", [])][-1:]
    arguments = [_evaluate(entry, variables) for entry in call.get("args", [])]
    if not arguments or not _all_texts(arguments):
        return None
    texts = [str(argument) for argument in arguments]
    match name:
        case ["format"]:
            return _format(texts[0], texts[1:])
        case ["quote_ident"]:
            return quote_identifier(texts[0])
        case ["quote_literal"]:
            return quote_literal(texts[0])
        case ["concat"]:
            return "".join(texts)
    return None


_PLACE = re.compile(r"%(?:(\d+)\$)?(.)", re.DOTALL)


def _format(template: str, arguments: Sequence[str]) -> str | None:
    """What format() makes of texts; None for widths, and where arguments are missing."""
    at = 0
    parts, end = [], 0
    for match in _PLACE.finditer(template):
        parts.append(template[end : match.start()])
        end = match.end()
        if match[2] == "%" and not match[1]:
            parts.append("%")
            continue
        at = int(match[1]) if match[1] and len(match[1]) < 5 else at + 1  # noqa: PLR2004 -- a place, not a number
        if not 0 < at <= len(arguments) or match[2] not in "sIL":
            return None
        argument = arguments[at - 1]
        if match[2] == "I":
            argument = quote_identifier(argument)
        elif match[2] == "L":
            argument = quote_literal(argument)
        parts.append(argument)
    return "".join([*parts, template[end:]])
