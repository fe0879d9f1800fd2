"""What of the captured schema a migration has to know: partitions, sizes, names that are taken, extensions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryfit.evidence.session import Session


@dataclass(frozen=True, slots=True)
class Table:
    """A table that an index can stand on."""

    relation: str  # schema.name, quoted where SQL needs it
    size_bytes: int = 0  # main fork; of a partitioned table, of all that is below it
    is_partitioned: bool = False
    partitions: tuple[str, ...] = ()  # right below it
    is_foreign: bool = False  # a foreign table as a partition: it takes no index


@dataclass(frozen=True, slots=True)
class Standing:
    """What is there before the migration."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()  # names of relations and indexes, schema.name
    definitions: Mapping[str, str] = field(default_factory=dict)  # of existing indexes, by schema.name
    extensions: frozenset[str] = frozenset()
    version: int | None = None  # PostgreSQL's major version
    database: str = ""

    def size_bytes(self, relation: str) -> int | None:
        """What has to be read to build an index on the table; null where the table is not known."""
        table = self.tables.get(relation)
        return table.size_bytes if table is not None else None


def standing(session: Session, database: str) -> Standing:
    """What a capture knows of one of its databases."""
    rows = list(
        session.query(
            "select relation, kind, parent, is_partition, coalesce(size_bytes, 0) as size_bytes"
            " from relation where database = $database order by relation",
            {"database": database},
        ).mappings()
    )
    indexes = list(
        session.query(
            "select index, definition from relation_index where database = $database", {"database": database}
        ).mappings()
    )
    extensions = session.query(
        "select extension from extension where database = $database", {"database": database}
    ).mappings()
    version = next(iter(session.query("select version_number from server").mappings()), None)
    children: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["is_partition"] and row["parent"]:
            children[row["parent"]].append(row["relation"])
    sizes = {row["relation"]: int(row["size_bytes"]) for row in rows}
    return Standing(
        tables={
            row["relation"]: Table(
                row["relation"],
                sum(sizes.get(below, 0) for below in _below(row["relation"], children)),
                is_partitioned=row["kind"] == "partitioned_table",
                partitions=tuple(children[row["relation"]]),
                is_foreign=row["kind"] == "foreign_table",
            )
            for row in rows
            if row["kind"] in {"table", "partitioned_table", "materialized_view", "foreign_table"}
        },
        taken=frozenset(row["relation"] for row in rows) | frozenset(row["index"] for row in indexes),
        definitions={row["index"]: row["definition"] for row in indexes},
        extensions=frozenset(row["extension"] for row in extensions),
        version=version["version_number"] // 10_000 if version else None,
        database=database,
    )


def _below(relation: str, children: Mapping[str, list[str]]) -> Iterator[str]:
    """The table and all its partitions, however deep."""
    seen: set[str] = set()
    waiting = [relation]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += children.get(name, ())
            yield name
