"""What a PL/pgSQL block runs: its statements in their order, with the strings that it puts together from constants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field
from pglast.parser import ParseError

from queryfit.migrations.interpret.bodies import Parsed, parse_body, query_of, raised
from queryfit.migrations.interpret.constants import Value, rows_of, truth_of, value_of
from queryfit.sql.ddl_script import refusal

RUN_TIME = "EXECUTE of a string put together at run time"
MOST_TURNS = 100
"""A loop over constants is followed turn by turn, at most that often."""

MOST_STATEMENTS = 2_000
"""Statements of a block, and turns of its loops, that are followed."""


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
    is_read: bool = True
    raised: str | None = None  # the message of a RAISE that every run comes to


def read_block(body: str, *, header: str = "DO", variables: Mapping[str, Value] | None = None) -> Block:
    """Read the body of a DO block, or of a function with values of its parameters.

    Never raises: what cannot be read is said in the result.
    """
    if (reason := refusal(body)) is not None:
        return _unread(reason)
    words = body.upper()
    loops = words.count("LOOP") + words.count("EXCEPTION")
    if words.count("BEGIN") + words.count("IF") + loops > MOST_NESTED or loops * len(body) > MOST_WORK:
        return _unread("the block is too large")
    try:
        parsed = parse_body(header, body)
    except ParseError as error:
        message = str(error.args[0])
        is_sure = any(words in message for words in _SURE)
        return Block(refusal=message) if is_sure else _unread(f"the block cannot be read: {message}")
    except (RecursionError, MemoryError, ValueError, IndexError, KeyError, UnicodeError):
        return _unread("the block cannot be read")
    reader = _Reader(body, parsed, variables or {})
    try:
        reader.statements([parsed.action], is_conditional=False)
    except RecursionError:
        return _unread("the block nests too deeply")
    return Block(reader.found, reader.unseen, raised=reader.raised)


def _unread(reason: str) -> Block:
    return Block(unseen=reason, is_read=False)


MOST_NESTED = 20_000
"""Words that open a part of a block: the parser nests one C frame and more for each, if they nest."""

MOST_WORK = 50_000_000
"""Each loop, and what has a handler, is searched for assignments as a whole: loops times characters."""

_SURE = ("syntax error", "unexpected end", "missing ")


class _Reader:
    """Walks a block as it runs; variables are followed as long as what they hold is known."""

    def __init__(self, body: str, parsed: Parsed, given: Mapping[str, Value]) -> None:
        self._body = body
        self._parsed = parsed
        self._lines = parsed.lines
        self._after: dict[int, int] = {}  # line → where the search for its next statement goes on
        self._names, self._single = parsed.names, parsed.single
        self._variables: dict[str, Value] = {}
        self._taken = 0  # turns of loops
        self._has_left = False  # a RETURN behind a condition: what follows may not run
        self._has_skipped = False  # an EXIT or CONTINUE of the loop
        self._has_jumped = False  # an EXIT or CONTINUE of a block by its label
        self._is_over = False  # a RETURN or RAISE that surely runs
        self._depth = 0  # of IF and loops around a statement
        for name, expression in parsed.defaults:
            self._set(name, self._value(expression))
        for name, value in given.items():
            if name.startswith("$"):
                self._variables[name] = value
            else:
                self._set(name, value)
        self.found: list[Inner] = []
        self.unseen: str | None = None
        self.raised: str | None = None

    def statements(self, entries: Sequence[Any], *, is_conditional: bool) -> None:
        for entry in entries:
            if self._is_over:
                return
            for kind, value in entry.items():
                is_open = is_conditional or self._has_left or self._has_skipped
                self._statement(kind.removeprefix("PLpgSQL_stmt_"), value, is_open)

    def _statement(self, kind: str, value: Any, is_conditional: bool) -> None:  # noqa: C901, PLR0912 -- a table
        match kind:
            case "block":
                self._block(value, is_conditional)
            case "execsql":
                self._add(value, query_of(value.get("sqlstmt")), is_conditional)
                self._forget(value)
            case "perform" | "call":
                self._add(value, query_of(value.get("expr")), is_conditional)
            case "dynexecute":
                self._execute(value, is_conditional)
                self._forget(value)
            case "dynfors":
                self._execute(value, is_conditional)
                self._loop(value)
            case "assign":
                self._assign(value)
            case "foreach_a":
                self._for_each(value, is_conditional)
            case "fori":
                self._for_numbers(value, is_conditional)
            case "fors":
                self._for_rows(value, is_conditional)
            case "if":
                self._if(value, is_conditional)
            case "case":
                cases = [
                    other.get("PLpgSQL_case_when", {}).get("stmts", []) for other in value.get("case_when_list", [])
                ]
                self._branches([*cases, value.get("else_stmts", [])])
            case "loop" | "while" | "forc":
                self._loop(value)
            case "return":
                self._has_left = self._has_left or is_conditional
                self._is_over = not is_conditional
            case "exit":
                self._has_skipped = True
                self._has_jumped = self._has_jumped or "label" in value
            case "raise":
                if not is_conditional and not self._depth and not self._has_jumped:
                    self.raised = raised(value, self._value)
                    self._is_over = self.raised is not None
            case "commit" | "rollback":
                control: Any = kind
                self.found.append(Inner("", *self._place(value, kind), is_conditional, control))
            case _:
                self._forget(value)

    def _block(self, value: Any, is_conditional: bool) -> None:
        handlers = value.get("exceptions", {}).get("PLpgSQL_exception_block", {}).get("exc_list", [])
        self.statements(value.get("body", []), is_conditional=is_conditional or bool(handlers))
        if handlers:
            self._forget(value)
        for handler in handlers:
            self.statements(handler.get("PLpgSQL_exception", {}).get("action", []), is_conditional=True)
            self._forget(handler)

    def _if(self, value: Any, is_conditional: bool) -> None:
        """IF: of a condition over constants, only the branch that runs."""
        others = [other.get("PLpgSQL_if_elsif", {}) for other in value.get("elsif_list", [])]
        open_branches = []
        for condition, branch in (
            (value.get("cond"), value.get("then_body", [])),
            *((other.get("cond"), other.get("stmts", [])) for other in others),
        ):
            truth = truth_of(query_of(condition), self._variables)
            if truth is not False:
                open_branches.append(branch)
            if truth:
                break
        else:
            open_branches.append(value.get("else_body", []))
        if len(open_branches) == 1:
            self._depth += 1
            self.statements(open_branches[0], is_conditional=is_conditional)
            self._depth -= 1
        else:
            self._branches(open_branches)

    def _branches(self, branches: Sequence[Sequence[Any]]) -> None:
        """One of them runs: afterwards only those variables are known that all of them leave alike."""
        before = self._variables
        ends = []
        for branch in branches:
            self._variables = dict(before)
            self.statements(branch, is_conditional=True)
            ends.append(self._variables)
        self._variables = {
            name: value for name, value in ends[0].items() if all(end.get(name) == value for end in ends[1:])
        }

    # loops

    def _loop(self, value: Any) -> None:
        """A loop of unknown turns, none perhaps."""
        self._forget(value)
        had_skipped = self._has_skipped
        self.statements(value.get("body", []), is_conditional=True)
        self._has_skipped = had_skipped
        self._forget(value)

    def _turns(self, value: Any, turns: Sequence[Mapping[str, str]], is_conditional: bool) -> None:
        """A loop over constants, turn by turn where a statement is put together in it."""
        body = value.get("body", [])
        has_execute = any("dynexecute" in kind for kind in _kinds(body))
        places = dict(self._after)
        if turns and not has_execute:
            turns = turns[:1]
        had_skipped = self._has_skipped
        for turn in turns:
            self._taken += 1
            if self._taken > MOST_STATEMENTS:
                self.unseen = self.unseen or "more turns of loops than are followed"
                break
            self._after = dict(places)
            self._variables |= turn
            self._depth += 1
            self.statements(body, is_conditional=is_conditional)
            self._depth -= 1
        self._has_skipped = had_skipped
        for name in turns[0] if turns else ():
            self._variables.pop(name, None)
        self._forget(value)

    def _for_each(self, value: Any, is_conditional: bool) -> None:
        """FOREACH … IN ARRAY."""
        values = self._value(query_of(value.get("expr")))
        name = self._names.get(value.get("varno", -1))
        if not isinstance(values, list) or name not in self._single or len(values) > MOST_TURNS:
            self._loop(value)
            return
        self._turns(value, [{name: turn} for turn in values], is_conditional)

    def _for_numbers(self, value: Any, is_conditional: bool) -> None:
        """FOR … IN 1..3."""
        lower, upper = self._value(query_of(value.get("lower"))), self._value(query_of(value.get("upper")))
        step = self._value(query_of(value["step"])) if "step" in value else "1"
        name = str(value.get("var", {}).get("PLpgSQL_var", {}).get("refname", ""))
        bounds = [int(bound) for bound in (lower, upper, step) if isinstance(bound, str) and _NUMBER.fullmatch(bound)]
        if len(bounds) != 3 or bounds[2] < 1 or name not in self._single:  # noqa: PLR2004 -- all of them
            self._loop(value)
            return
        first, last, by = bounds
        numbers = range(first, last - 1, -by) if value.get("reverse") else range(first, last + 1, by)
        if len(numbers) > MOST_TURNS:
            self._loop(value)
            return
        self._turns(value, [{name: str(number)} for number in numbers], is_conditional)

    def _for_rows(self, value: Any, is_conditional: bool) -> None:
        """FOR … IN SELECT: over rows of constants."""
        rows = rows_of(query_of(value.get("query")), self._variables)
        record = str(value.get("var", {}).get("PLpgSQL_rec", {}).get("refname", ""))
        if rows is None or record not in self._single or len(rows) > MOST_TURNS:
            self._loop(value)
            return
        self._turns(value, [{f"{record}.{name}": text for name, text in row.items()} for row in rows], is_conditional)

    # variables

    def _set(self, name: str, value: Value | None) -> None:
        if value is not None and name in self._single:
            self._variables[name] = value
        else:
            self._variables.pop(name, None)

    def _assign(self, value: Any) -> None:
        name = self._names.get(value.get("varno", -1), "")
        match = _ASSIGNMENT.match(query_of(value.get("expr")))
        if match is None or match[1].strip('"').lower() != name.lower():
            self._forget(value)
        else:
            self._set(name, self._value(match[2]))

    def _forget(self, value: Any) -> None:
        """Whatever the statement, or one in it, assigns to is not known any more."""
        numbers = self._parsed.assigned.get(id(value))
        if numbers is None:
            numbers = self._parsed.assigned[id(value)] = tuple(_assigned(value))
        for number in numbers:
            name = self._names.get(number, "")
            for known in [known for known in self._variables if known == name or known.startswith(f"{name}.")]:
                del self._variables[known]

    def _value(self, expression: str) -> Value | None:
        return value_of(expression, self._variables)

    # statements and their places

    def _add(self, value: Any, sql: str, is_conditional: bool) -> None:
        if len(self.found) >= MOST_STATEMENTS:
            self.unseen = self.unseen or "more statements than are followed"
        elif sql.strip():
            self.found.append(Inner(sql, *self._place(value, sql), is_conditional))

    def _execute(self, value: Any, is_conditional: bool) -> None:
        expression = query_of(value.get("query"))
        sql = self._value(expression)
        if not isinstance(sql, str):
            self.unseen = RUN_TIME
        elif len(self.found) >= MOST_STATEMENTS:
            self.unseen = self.unseen or "more statements than are followed"
        else:
            start, _ = self._place(value, "execute")
            _, end = self._place(value, expression)
            self.found.append(Inner(sql, start, max(end, start), is_conditional))

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


_NUMBER = re.compile(r"-?\d{1,9}")
_ASSIGNMENT = re.compile(r'\s*("[^"]+"|\w+)\s*:?=(?![=>])(.*)', re.DOTALL)


def _assigned(statement: Any) -> Iterator[int]:
    """Numbers of the variables that a statement, or one below it, assigns to."""
    pending = [statement]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            for kind, value in item.items():
                if isinstance(value, int):
                    if kind in {"varno", "target", "dno", "recparentno"}:
                        yield value
                else:
                    pending.append(value)


def _kinds(statements: Any) -> Iterator[str]:
    pending = [statements]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            yield from item
            pending += item.values()
