"""What one statement text says: kind, shape and references. Never raises, whatever the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from queryfit.sql.catalog import Catalog
from queryfit.sql.grammar import Node, ast
from queryfit.sql.model import Reference, Shape
from queryfit.sql.parse import fingerprint, parse
from queryfit.sql.references import find_references
from queryfit.sql.shape import describe_shape

__all__ = ["Reference", "Shape", "Statement", "analyse", "fingerprint"]

_HIDDEN = "<insufficient privilege>"
_KINDS = {
    ast.SelectStmt: "select",
    ast.InsertStmt: "insert",
    ast.UpdateStmt: "update",
    ast.DeleteStmt: "delete",
    ast.MergeStmt: "merge",
    ast.TransactionStmt: "transaction",
}
_WRAPPERS = (ast.ExplainStmt, ast.PrepareStmt, ast.DeclareCursorStmt, ast.CreateTableAsStmt, ast.CopyStmt)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a text says. `shape` is None and `references` empty where nothing is planned: utility, unparsed, hidden."""

    fingerprint: str
    kind: str
    is_truncated: bool = False
    parse_error: str | None = None
    shape: Shape | None = None
    references: tuple[Reference, ...] = ()

    def text_row(self, text: str) -> dict[str, Any]:
        """A row of the table `statement_text`; lone surrogates, which no file takes, are written as escapes."""
        return {
            "fingerprint": self.fingerprint,
            "text": text.encode("utf-8", "backslashreplace").decode(),
            "kind": self.kind,
            "is_truncated": self.is_truncated,
            "parse_error": self.parse_error,
        }

    def shape_row(self) -> dict[str, Any] | None:
        """A row of the table `shape`; None where the statement has no shape."""
        return None if self.shape is None else {"fingerprint": self.fingerprint, **_facts(self.shape)}

    def reference_rows(self, database: str) -> list[dict[str, Any]]:
        """Rows of the table `reference`."""
        names = {"database": database, "fingerprint": self.fingerprint}
        return [names | _facts(reference) for reference in self.references]


def analyse(text: str, catalog: Catalog, search_path: Sequence[str] = ("public",)) -> Statement:
    """Read one text of pg_stat_statements or of a log; names resolve against `catalog` and `search_path`.

    A text that is no single statement comes back as kind `unparsed` with the reason in `parse_error`.
    """
    mark = fingerprint(text)
    if text.strip() == _HIDDEN:
        return Statement(mark, "hidden")
    parsed = parse(text)
    if parsed.error is not None:
        return Statement(mark, "unparsed", is_truncated=parsed.is_cut, parse_error=parsed.error)
    if len(parsed.statements) != 1:
        count = len(parsed.statements)
        return Statement(mark, "unparsed", parse_error=f"the text holds {count or 'no'} statements, not one")
    node = parsed.statements[0].stmt
    kind = _kind(node)
    planned = _planned(node)
    if planned is None:
        return Statement(mark, kind)
    try:
        found = find_references(planned, catalog, search_path)
        shape = describe_shape(planned, found.relations)
    except RecursionError:
        return Statement(mark, "unparsed", parse_error="the statement is nested too deeply to be analysed")
    return Statement(mark, kind, shape=shape, references=found.references)


def _facts(row: Reference | Shape) -> dict[str, Any]:
    """Fields by name; dataclasses.asdict would copy every value on the way."""
    return {name: getattr(row, name) for name in row.__slots__}


def _kind(node: Node | None) -> str:
    if isinstance(node, ast.SelectStmt) and node.intoClause is not None:
        return "utility"
    return _KINDS.get(type(node), "utility")


def _planned(node: Node | None) -> Node | None:
    """The statement that the planner sees: the inner one of EXPLAIN, PREPARE, DECLARE CURSOR, CREATE TABLE AS, COPY."""
    while isinstance(node, _WRAPPERS):
        node = node.query
    return None if _kind(node) == "transaction" or type(node) not in _KINDS else node
