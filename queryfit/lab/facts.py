"""Evidence of one database as the lab reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from queryfit.evidence.session import ROW_LIMIT, Session

Row = dict[str, Any]
_CHUNK = min(ROW_LIMIT, 50_000)
_OF_THE_SERVER = frozenset({"setting", "tablespace", "role", "server"})


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows of evidence tables, of one database where a table has several."""

    session: Session
    database: str

    def rows(self, table: str) -> list[Row]:
        """All rows, in the order in which they were captured."""
        where = "" if table in _OF_THE_SERVER else "where database = $database"
        parameters = {} if table in _OF_THE_SERVER else {"database": self.database}
        found: list[Row] = []
        while True:
            result = self.session.query(
                f'select * from "{table}" {where} order by rowid limit {_CHUNK} offset {len(found)}', parameters
            )
            found += result.mappings()
            if len(result.rows) < _CHUNK:
                return found
