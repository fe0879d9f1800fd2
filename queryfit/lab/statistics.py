"""Column statistics of a capture, written into the lab.

From PostgreSQL 18 `pg_restore_attribute_stats` takes what the view pg_stats shows, as the role that owns the tables:
the input functions of values may be the capture's own. Before, rows of pg_statistic are written: see `old_statistics`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from queryfit.lab.batches import Statement, as_text, batches, run, succeeded
from queryfit.lab.carried import NotCarried
from queryfit.lab.facts import Row
from queryfit.lab.old_statistics import OldWriter

# evidence column, argument of pg_restore_attribute_stats, its type
ARGUMENTS = (
    ("null_fraction", "null_frac", "real"),
    ("average_width_bytes", "avg_width", "integer"),
    ("distinct_values", "n_distinct", "real"),
    ("common_values", "most_common_vals", "text"),
    ("common_frequencies", "most_common_freqs", "real[]"),
    ("histogram_bounds", "histogram_bounds", "text"),
    ("correlation", "correlation", "real"),
    ("common_elements", "most_common_elems", "text"),
    ("common_element_frequencies", "most_common_elem_freqs", "real[]"),
    ("element_count_histogram", "elem_count_histogram", "real[]"),
    ("range_length_histogram", "range_length_histogram", "text"),
    ("range_empty_fraction", "range_empty_frac", "real"),
    ("range_bounds_histogram", "range_bounds_histogram", "text"),
)
_RESTORE = (
    "select pg_catalog.pg_restore_attribute_stats('schemaname', $1::text, 'relname', $2::text, 'attname', $3::text,"
    " 'inherited', $4::boolean{})"
)
_LONGEST_REASON = 300
_RESTORE_SINCE = 18


@dataclass(slots=True)
class Writer:
    """Writes rows of `column_statistics` over the owner's autocommit connection; `superuser` looks on, or stores."""

    owner: psycopg.Connection[Any]
    superuser: psycopg.Connection[Any]
    version: int
    _said: list[str] = field(default_factory=list)
    _old: OldWriter | None = None

    def __post_init__(self) -> None:
        self.owner.add_notice_handler(lambda notice: self._said.append(notice.message_primary or ""))
        if self.version < _RESTORE_SINCE:
            self._old = OldWriter(self.superuser)

    def write(self, rows: Iterable[Row], names: Mapping[str, tuple[str, str]]) -> list[NotCarried]:
        """`names` gives schema and name, unquoted, of each relation and index. Returns what the server did not take."""
        missing: list[NotCarried] = []
        known = [row for row in rows if row["relation"] in names]
        for batch in batches(known):
            if self._write_together(batch, names):
                continue
            for row in batch:
                if problem := self.write_row(row, names[row["relation"]]):
                    reason = problem.partition("\n")[0][:_LONGEST_REASON]
                    relation, column = row["relation"], row["column_name"]
                    missing.append(NotCarried("statistics", f"{relation}.{column}", reason, (relation,), column=column))
        return missing

    def write_row(self, row: Row, name: tuple[str, str]) -> str | None:
        """Write one row for the relation of that schema and name; a problem in words, or null."""
        self._said.clear()
        try:
            statements, problem = self._statements(row, name)
            for statement, parameters in statements:
                run(self._writes.pgconn, statement, parameters)
        except (psycopg.Error, ValueError) as error:
            return str(error) or type(error).__name__
        return problem or (self._said[0] if self._said else None)

    def _write_together(self, rows: Sequence[Row], names: Mapping[str, tuple[str, str]]) -> bool:
        """Write rows at once; False where any of them is a problem, which is then to be found one by one."""
        self._said.clear()
        statements: list[Statement] = []
        try:
            for row in rows:
                more, problem = self._statements(row, names[row["relation"]])
                if problem:
                    return False
                statements += more
            return succeeded(self._writes.pgconn, statements) and not self._said
        except (psycopg.Error, ValueError):
            return False

    @property
    def _writes(self) -> psycopg.Connection[Any]:
        return self.owner if self._old is None else self.superuser

    def _statements(self, row: Row, name: tuple[str, str]) -> tuple[list[Statement], str | None]:
        """What writes a row, and what it does not write."""
        if self._old is not None:
            return self._old.statements(row, name)
        given = [
            (argument, kind, row.get(column)) for column, argument, kind in ARGUMENTS if row.get(column) is not None
        ]
        if not given:
            return [], None
        pairs = "".join(f", '{argument}', ${place}::{kind}" for place, (argument, kind, _) in enumerate(given, 5))
        values = [name[0], name[1], row["column_name"], row["is_inherited"], *(value for _, _, value in given)]
        return [(_RESTORE.format(pairs).encode(), [as_text(value) for value in values])], None


def with_extremes(rows: Iterable[Row], extremes: Iterable[Row]) -> Iterator[Row]:
    """Statistics whose histograms end where the column really ends.

    For a condition beyond a histogram, or in its first or last part, PostgreSQL looks at the end of an index on the
    column and puts what it finds in the place of the histogram's bound. The lab's indexes hold nothing, so the bound
    itself says it.
    """
    ends = {(row["relation"], row["column_name"]): (row["least_value"], row["greatest_value"]) for row in extremes}
    for row in rows:
        end = ends.get((row["relation"], row["column_name"]))
        bounds = row["histogram_bounds"]
        # what is found at the end of an index of a partition says nothing of the whole
        if end is None or bounds is None or row["is_inherited"]:
            yield row
            continue
        items = array_items(bounds)
        if len(items) > 1:
            items[0], items[-1] = (_array_word(value) for value in end)
            yield {**row, "histogram_bounds": "{" + ",".join(items) + "}"}
        else:
            yield row


def array_items(text: str) -> list[str]:
    """The items of a one-dimensional array as text, each as it is written there."""
    return re.findall(r'"(?:[^"\\]|\\.)*"|[^,{}"]+', text[1:-1]) if len(text) > len("{}") else []


def _array_word(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
