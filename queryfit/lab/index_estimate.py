"""A first estimate of an index's size from the widths and rows in the statistics, for who has none better.

Deduplication, fill factors and the insides of GIN are left to those who size candidates for advice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from queryfit.lab.btree_page import PAGE_BYTES, height
from queryfit.lab.planner import Index, Size
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from queryfit.lab.session import Session

COLUMNS = """
select a.attname, case when t.typlen > 0 then t.typlen else coalesce(s.avg_width, 16) end
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_type as t on t.oid = a.atttypid
left join lateral (
    select max(s.avg_width) as avg_width from pg_catalog.pg_stats as s
    where s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
) as s on true
where a.attrelid = pg_catalog.to_regclass($1) and a.attnum > 0 and not a.attisdropped
"""
UNKNOWN_WIDTH = 16
USABLE_BYTES = PAGE_BYTES - 40  # header and special space
LINE_POINTER = 4
TUPLE_HEADER = 8
FILL = 0.9  # of leaf pages, by default
HASH_FILL = 0.75
HASH_TUPLE = 16
GIN_ENTRY_BYTES = 8  # a row's place in a posting list, and its share of the key
SPLIT_FILL = 0.65  # of pages that were split at random: GiST, SP-GiST
BRIN_RANGE_PAGES = 128


class Estimator:
    """Estimates over one connection to the lab; remembers widths by table."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._widths: dict[str, dict[str, int]] = {}

    def size(self, index: Index, rows: float) -> Size:
        """Size of an index that holds `rows` rows."""
        data = sum(self._width(index.relation, key.expression) for key in index.keys)
        pivot = float(data + TUPLE_HEADER)
        data += sum(self._width(index.relation, column) for column in index.included)
        entry = math.ceil((TUPLE_HEADER + data) / 8) * 8 + LINE_POINTER
        match index.access_method:
            case "btree":
                pages = 1 + max(1, math.ceil(rows / max(1, math.floor(USABLE_BYTES * FILL / entry))))
                return Size(pages * PAGE_BYTES, rows, height(pages, pivot))
            case "hash":
                used = rows * (HASH_TUPLE + LINE_POINTER) / (USABLE_BYTES * HASH_FILL)
            case "gin":
                used = rows * len(index.keys) * GIN_ENTRY_BYTES / USABLE_BYTES
            case "brin":
                used = 2 + rows / 50 / BRIN_RANGE_PAGES * entry / USABLE_BYTES
            case _:
                used = rows * entry / (USABLE_BYTES * SPLIT_FILL)
        return Size((1 + max(1, math.ceil(used))) * PAGE_BYTES, rows)

    def _width(self, relation: str, expression: str) -> int:
        if relation not in self._widths:
            self._widths[relation] = {
                quote_identifier(str(name or b"", "utf-8")): int(width or UNKNOWN_WIDTH)
                for name, width in self._session.run(COLUMNS, [relation])
            }
        return self._widths[relation].get(expression, UNKNOWN_WIDTH)
