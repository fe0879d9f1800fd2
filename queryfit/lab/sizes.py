"""How large each captured relation is, and how high its B-trees are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from queryfit.lab.btree_page import PAGE_BYTES, height, rows_per_page
from queryfit.lab.facts import Facts, Row
from queryfit.lab.files import Extent
from queryfit.lab.schema import Schema

_UNKNOWN_WIDTH = 16.0
_LEAF_FILL = 90
_DENSE = 0.95
_FIXED_WIDTHS: Mapping[str, int] = {
    "bool": 1, "char": 1, "int2": 2, "int4": 4, "int8": 8, "float4": 4, "float8": 8, "date": 4, "time": 8,
    "timestamp": 8, "timestamptz": 8, "uuid": 16, "oid": 4, "interval": 16, "macaddr": 6, "money": 8,
}  # fmt: skip


def extents(schema: Schema, facts: Facts) -> Iterator[Extent]:
    """The extents of all tables, materialized views and indexes."""
    tuples: dict[str, float] = {}
    for row in schema.relations:
        if row["kind"] == "view":
            continue
        rows = -1.0 if row["tuple_rows"] is None else row["tuple_rows"]
        tuples[row["relation"]] = rows
        yield Extent(
            row["relation"], row["relation"], _pages(row), row["pages"] or 0, rows, row["all_visible_pages"] or 0
        )
    widths = _Widths(schema, facts)
    for row in schema.indexes:
        if row["size_bytes"] is None:  # of a partitioned table
            continue
        pages = _pages(row)
        said = row.get("pages")
        yield Extent(
            row["index"],
            row["relation"],
            pages,
            pages if said is None else said,
            -1.0 if row["tuple_rows"] is None else row["tuple_rows"],
            0,
            widths.height(row) if row["access_method"] == "btree" else None,
        )


def _pages(row: Row) -> int:
    return int(-(-(row["size_bytes"] or 0) // PAGE_BYTES))


class _Widths:
    """Bytes of the keys that inner pages of a B-tree hold: only the leading columns that tell pages apart."""

    def __init__(self, schema: Schema, facts: Facts) -> None:
        self._all: dict[str, list[Row]] = {}
        for row in sorted(facts.rows("index_column"), key=lambda row: row["position"]):
            self._all.setdefault(row["index"], []).append(row)
        self._keys = {index: [row for row in rows if row["is_key"]] for index, rows in self._all.items()}
        self._statistics = {
            (row["relation"], row["column_name"]): row
            for row in facts.rows(
                "column_statistics", "relation, column_name, is_inherited, average_width_bytes, distinct_rows"
            )
            if not row["is_inherited"]
        }
        indexes = {row["index"] for row in schema.indexes}
        # an index with several expressions: the widest will do
        self._expressions = {
            relation: float(row["average_width_bytes"])
            for (relation, _), row in sorted(
                self._statistics.items(), key=lambda item: item[1]["average_width_bytes"] or 0
            )
            if relation in indexes and row["average_width_bytes"] is not None
        }
        self._types = {
            (column["relation"], column["column_name"]): column["base_type"]
            for columns in schema.columns.values()
            for column in columns
        }

    def height(self, index: Row) -> int:
        pages = _pages(index)
        rows, fill = index["tuple_rows"] or 0.0, (index["fill_factor"] or _LEAF_FILL) / _LEAF_FILL
        # near as many rows on a page as a build leaves there, or more where equal keys are stored once
        is_built = rows / max(1, pages - 1) > _DENSE * fill * rows_per_page(self._whole(index))
        return height(pages, self._pivot(index), is_built=is_built)

    def _whole(self, index: Row) -> float:
        """Bytes of all its columns, included ones too."""
        return sum(self._width(index, key) for key in self._all.get(index["index"], ()))

    def _width(self, index: Row, key: Row) -> float:
        place = (index["relation"], key["column_name"])
        if key["column_name"] is None:
            return self._expressions.get(index["index"], _UNKNOWN_WIDTH)
        statistics = self._statistics.get(place)
        fixed = _FIXED_WIDTHS.get(self._types.get(place, ""))
        known = statistics["average_width_bytes"] if statistics else None
        return fixed or (known if known is not None else _UNKNOWN_WIDTH)

    def _pivot(self, index: Row) -> float:
        width, different = 0.0, 1.0
        pages = max(1, _pages(index))
        for key in self._keys.get(index["index"], ()):
            width += self._width(index, key)
            statistics = self._statistics.get((index["relation"], key["column_name"]))
            different *= max(1.0, (statistics or {}).get("distinct_rows") or 1.0)
            if different > 2 * pages:  # the boundary between two pages is found within these columns
                return width
        return width + 8  # the row's place tells equal keys apart
