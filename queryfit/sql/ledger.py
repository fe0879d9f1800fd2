"""Collects references: which columns an expression uses, and the rows that they make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from queryfit.sql.expressions import expression_text, has_aggregate, type_name
from queryfit.sql.grammar import Node, ast
from queryfit.sql.model import Reference
from queryfit.sql.scope import Fence, Origin, Origins, Scope
from queryfit.sql.tree import children, flat

Outputs = list[tuple[str, Origins]]
"""Columns that a query returns, by name, with the base columns that they pass through."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a subquery gives to the block around it."""

    outputs: Outputs
    fence: Fence = Fence.NONE
    is_open: bool = False  # some columns are not known
    is_correlated: bool = False  # it uses a column of a block around it


Subquery = Callable[[Node, Scope, bool], Result]
"""Walks a subquery below a scope; the flag says whether a match in it can drive the block around it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A column reference as found in an expression; no origins where it is computed or unknown."""

    origins: Origins
    is_driven: bool
    cast_type: str | None  # of a cast directly on it


MAX_ROWS = 20_000
"""References of one statement that are kept: conditions times arms of unions can grow beyond any use."""

_SORT_ROLES = frozenset({"order", "group", "distinct"})


class Ledger:
    """Rows of `reference`, each once, in the order of discovery."""

    def __init__(self, subquery: Subquery) -> None:
        self.rows: dict[Reference, None] = {}
        self.subquery = subquery
        self._clause = 0

    def new_clause(self) -> int:
        self._clause += 1
        return self._clause

    def add(self, origin: Origin, role: str, **facts: Any) -> None:
        """One row for one origin; a role that an index of the relation could not serve from there becomes `other`."""
        if len(self.rows) >= MAX_ROWS:
            return
        instance = origin.instance
        if origin.fence > Fence.NONE and role in _SORT_ROLES:
            role, facts["operator"] = "other", f"{role} by"
        row = Reference(
            block=instance.block,
            clause=facts.pop("clause", 0),
            relation=instance.relation.text,
            alias=instance.alias,
            column_name=origin.column,
            role=role,
            **facts,
        )
        self.rows[row] = None

    def read(self, node: Any, scope: Scope, role: str = "select", **facts: Any) -> None:
        """Every column of an expression in one role; of a list, expression by expression."""
        if isinstance(node, tuple):
            for item in flat(node):
                self.read(item, scope, role, **facts)
            return
        seen = self.collect(node, scope)
        if not any(item.origins for item in seen):
            return
        expression = None if isinstance(node, ast.ColumnRef) else expression_text(node)
        for item in seen:
            for origin in item.origins:
                self.add(origin, role, expression=expression, cast_type=item.cast_type, **facts)

    def sort(self, node: Node, scope: Scope, role: str, **facts: Any) -> None:
        """A key of ORDER BY, GROUP BY or DISTINCT; an aggregate's arguments are no key that an index could give."""
        if isinstance(node, ast.ColumnRef) or not has_aggregate(node):
            self.read(node, scope, role, **facts)
        else:
            self.read(node, scope, "other", operator=f"{role} by", **facts)

    def collect(self, node: Any, scope: Scope) -> list[Seen]:
        """Columns of this block and of those around it in an expression; its subqueries are walked on the way."""
        seen: list[Seen] = []
        stack: list[tuple[Any, str | None]] = []
        stack.extend((item, None) for item in reversed(list(flat(node))))
        while stack:
            inner, cast_type = stack.pop()
            match inner:
                case ast.ColumnRef():
                    origins, is_driven = scope.resolve(inner)
                    seen.append(Seen(origins, is_driven, cast_type))
                    continue
                case ast.SubLink():
                    if inner.testexpr is not None:
                        stack.append((inner.testexpr, None))
                    self.subquery(inner.subselect, scope, False)
                    continue
                case ast.WindowDef():
                    self.window(inner, scope)
                    continue
                case ast.A_Const() | ast.ParamRef() | ast.String():
                    continue
            below = type_name(inner.typeName) if isinstance(inner, ast.TypeCast) else None
            stack.extend([(child, below) for child in children(inner)][::-1])
        return seen

    def window(self, window: Node, scope: Scope) -> None:
        """PARTITION BY and ORDER BY of a window: an order that an index can give, but not the order of the result."""
        for position, node in enumerate(window.partitionClause or (), 1):
            self.read(node, scope, "other", operator="partition by", position=position)
        for position, sort in enumerate(window.orderClause or (), 1):
            self.read(sort.node, scope, "other", operator="window order by", position=position)
