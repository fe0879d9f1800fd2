"""Evidence of one database as the lab reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queryfit.evidence.session import Session
    from queryfit.lab.part import Part

Row = dict[str, Any]
_PAGE = 10_000
_OF_RELATIONS = frozenset({
    "relation", "relation_column", "relation_constraint", "relation_index", "index_column", "policy",
    "extended_statistics", "extended_expression_statistics", "column_statistics", "column_extreme", "custom_object",
})  # fmt: skip
_OF_THE_SERVER = frozenset({"setting", "tablespace", "role", "server"})


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows of evidence tables, of one database where a table has several; of a part of it where one is given."""

    session: Session
    database: str
    part: Part | None = None

    def rows(self, table: str, columns: str = "*") -> list[Row]:
        """All rows, in the order in which they were captured."""
        return [row for page in self.pages(table, columns) for row in page]

    def pages(self, table: str, columns: str = "*") -> Iterator[list[Row]]:
        """The same, some at a time: for what takes much memory as a whole."""
        conditions, parameters = self._conditions(table)
        start = 0
        while True:
            found = self.session.query(
                f'select rowid as queryfit_row, {columns} from "{table}" where {conditions} and rowid >= $start'
                f" order by rowid limit {_PAGE}",
                {**parameters, "start": start},
            )
            names = found.columns[1:]
            if found.rows:
                start = found.rows[-1][0] + 1
            yield [dict(zip(names, row[1:], strict=True)) for row in found.rows]
            if len(found.rows) < _PAGE:
                return

    def _conditions(self, table: str) -> tuple[str, dict[str, object]]:
        if table in _OF_THE_SERVER:
            return "true", {}
        conditions, parameters = "database = $database", {"database": self.database}
        if self.part is None or table not in {*_OF_RELATIONS, "relation_sequence", "routine"}:
            return conditions, dict(parameters)
        if table == "routine":
            left_out = sorted(self.part.routines_left_out)
            return f"{conditions} and routine_oid not in (select unnest($oids::bigint[]))", {
                **parameters, "oids": left_out
            }  # fmt: skip
        # what is known of an expression of an index stands under the name of the index
        held = sorted(self.part.relations | self.part.indexes)
        nothing = " or relation is null" if table in {"relation_sequence", "custom_object"} else ""
        conditions += f" and (relation in (select unnest($held::varchar[])){nothing})"
        return conditions, {**parameters, "held": held}
