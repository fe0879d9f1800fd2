"""Which texts may be handed to EXPLAIN at all: exactly one statement that a planner plans and nothing else."""

from pglast import ast

from queryfit.sql.parse import parse

_PLANNABLE = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)


def single_plannable(text: str) -> tuple[ast.Node | None, str | None]:
    """The one SELECT, INSERT, UPDATE, DELETE or MERGE of a text as (node, None), else (None, reason in words).

    Says nothing about what the statement calls: the guard judges which functions it reaches. Parsed
    with standard_conforming_strings on, so the server must plan it so too. Never raises.
    """
    parsed = parse(text)
    if parsed.error is not None:
        return None, f"it does not parse: {parsed.error}"
    if not parsed.statements:
        return None, "it holds no statement"
    if len(parsed.statements) > 1:
        return None, f"it holds {len(parsed.statements)} statements"
    statement = parsed.statements[0].stmt
    if not isinstance(statement, _PLANNABLE):
        return None, f"{_spoken(statement)} is not a statement that is planned"
    if isinstance(statement, ast.SelectStmt) and _creates_table(statement):
        return None, "SELECT INTO creates a table"
    return statement, None


def _creates_table(select: ast.SelectStmt) -> bool:
    """SELECT INTO; of a set operation the left-most arm holds it."""
    while select.larg is not None:
        select = select.larg
    return select.intoClause is not None


def _spoken(statement: ast.Node | None) -> str:
    return type(statement).__name__.removesuffix("Stmt")
