"""RETURNING old.… and new.…, which PostgreSQL knows from 18 on."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Raw

from queryfit.migrations.context import Context
from queryfit.sql.ddl_parts import tree

_SINCE = 18
_NAMES = re.compile(rb'"sval":"(?:old|new)"\}\},\{')
_OTHER_USE = {name: re.compile(rf'\b{name}\b(?!"?\s*\.)', re.IGNORECASE) for name in ("old", "new")}


def refuse_old_and_new(context: Context, clause: Raw) -> None:
    """Refuse them before 18, unless the statement calls a table so; in a program they may be its variables."""
    if context.version >= _SINCE or not context.is_outermost:
        return
    text = bytes(clause)
    if b'"ReturningOption"' in text:
        context.refuse("RETURNING WITH (OLD AS …, NEW AS …) needs PostgreSQL 18")
        return
    if _NAMES.search(text) is None:
        return
    statement = context.sql[context.step.start : context.step.end]
    for name in _qualifiers(tree(clause)):
        if _OTHER_USE[name].search(statement) is None:
            context.refuse(f'missing FROM-clause entry for table "{name}"')
            return


def _qualifiers(node: Any) -> list[str]:
    """`old` and `new` where they stand for a table: before a column, or before a star."""
    found = []
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += reversed(node)
        elif isinstance(node, dict):
            pending += reversed(node.values())
            fields = node["ColumnRef"].get("fields", []) if "ColumnRef" in node else []
            name = fields[0].get("String", {}).get("sval") if len(fields) == 2 else None  # noqa: PLR2004 -- of a column
            if name in _OTHER_USE:
                found.append(name)
    return found
