"""Places in the text of a migration: where a statement ends, and what can stand behind it."""

from __future__ import annotations

import re

from pglast.parser import ParseError, scan

from queryfit.migrations.files import MigrationFile
from queryfit.migrations.steps import Step

SEMICOLON = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*;", re.DOTALL)
"""What may stand between a statement's last word and its semicolon, and that."""
_REST_OF_LINE = re.compile(r"[ \t]*(?:--[^\r\n]*)?(?=\r?\n|\Z)")

Edit = tuple[int, int, str]
"""Start and end of a part of a text, in characters, and what takes its place."""


def end_of(sql: str, step: Step) -> int:
    """Where the statement's last word ends: no blank, no comment and no semicolon belongs to it."""
    source = sql[step.start : step.end]
    if "--" not in source and "/*" not in source:  # most have no comment: no need to ask the scanner
        return step.start + len(source.rstrip().removesuffix(";").rstrip())
    try:
        last = max((token.end for token in scan(source) if not token.name.endswith("COMMENT")), default=-1)
    except ParseError:
        return step.start + len(source.rstrip())
    end = last + 1
    return step.start + (len(source[: end - 1].rstrip()) if source[:end].endswith(";") else end)


def after(file: MigrationFile, step: Step, *, is_gone: bool = False) -> tuple[int, str]:
    """Where a statement can stand after another one, and the semicolon that may be missing between them."""
    end = end_of(file.sql, step)
    semicolon = SEMICOLON.match(file.sql, end)
    if semicolon is None:
        return end, "" if is_gone else ";"
    # a comment on the rest of the line is about the statement
    rest = _REST_OF_LINE.match(file.text, semicolon.end())
    return (rest.end() if rest is not None else semicolon.end()), ""
