"""The bodies of PL/pgSQL blocks and functions as trees, and what their RAISE says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct
from pglast.parser import ParseError, parse_plpgsql_json

from queryfit.migrations.interpret.constants import Value

_QUOTE = "$queryfit{}$"


class Parsed(Struct):
    """The tree of a body and what does not depend on the values of variables. It is shared, so nobody may change it."""

    action: Any
    names: dict[int, str]  # of variables, by number
    single: frozenset[str]  # names that one variable has; the others may hide each other
    defaults: list[tuple[str, str]]  # name of a variable, and the expression that it starts with
    lines: list[int]  # where each line of the body begins
    assigned: dict[int, tuple[int, ...]]  # by the identity of a part of the tree, see _assigned


@lru_cache(maxsize=256)  # a migration may call the same function a hundred times
def parse_body(header: str, body: str) -> Parsed:
    """Parse a body. Raises ParseError and what a hostile text brings."""
    number = 0
    while (quote := _QUOTE.format(number or "")) in body:
        number += 1
    try:
        parsed = parse_plpgsql_json(f"{header} {quote}{body}{quote}")
    except ParseError as error:
        if not str(error.args[0]).startswith(_LIMIT):
            raise
        parsed = parse_plpgsql_json(f"{header} {quote}{_plain_types(body)}{quote}")
    function = msgspec.json.decode(parsed)[0]["PLpgSQL_function"]
    datums: list[Any] = [next(iter(entry.values()), {}) for entry in function.get("datums", [])]
    names = {number: str(datum.get("refname", "")) for number, datum in enumerate(datums)}
    counts = Counter(names.values())
    return Parsed(
        function.get("action", {}),
        names,
        frozenset(name for name, count in counts.items() if count == 1),
        [(str(datum.get("refname", "")), query_of(datum["default_val"])) for datum in datums if "default_val" in datum],
        [0, *(match.end() for match in re.finditer("\n", body))],
        {},
    )


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


def query_of(expression: Any) -> str:
    """The text of an expression of a body."""
    return str((expression or {}).get("PLpgSQL_expr", {}).get("query", ""))


_ERROR = 21  # what the parser calls the level
_MESSAGE = 1  # an option of USING
_PLACE = re.compile("%%|%")


def raised(statement: Any, value_of: Callable[[str], Value | None]) -> str | None:
    """What a RAISE says that ends the block; None for one of a lower level. What is not known of it stays a `%`."""
    if statement.get("elog_level") != _ERROR:
        return None
    for option in statement.get("options", []):
        chosen = option.get("PLpgSQL_raise_option", {})
        if chosen.get("opt_type") == _MESSAGE:
            message = value_of(query_of(chosen.get("expr")))
            return message if isinstance(message, str) else "what RAISE puts together"
    if "message" not in statement:
        return str(statement.get("condname") or ("P0001" if "options" in statement else _BARE))
    values = [value_of(query_of(parameter)) for parameter in statement.get("params", [])]
    rest = iter([value if isinstance(value, str) else "%" for value in values])
    return _PLACE.sub(lambda place: "%" if place[0] == "%%" else next(rest, "%"), str(statement["message"]))


_BARE = "RAISE without parameters cannot be used outside an exception handler"
