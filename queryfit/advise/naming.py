"""Names for indexes: those that PostgreSQL would make up, and none that is taken."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from queryfit.lab.planner import Index
from queryfit.migrations.interpret.naming import index_columns, joined, made_up
from queryfit.sql.ddl_script import statements
from queryfit.sql.names import qualified, quote_identifier

_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def parts(name: str) -> tuple[str, ...]:
    """The parts of a name as SQL writes it, unquoted: `public."Order.s"` is `public` and `Order.s`."""
    return tuple(found[1].replace('""', '"') if found[1] is not None else found[2] for found in _PART.finditer(name))


def bare(name: str) -> str:
    """The last part of a name, quoted where SQL needs it: what CREATE INDEX takes."""
    return quote_identifier(parts(name)[-1])


def named(indexes: Iterable[Index], taken: Collection[str]) -> dict[Index, str]:
    """A name for each index, as schema.name: `public.orders_customer_id_created_at_idx`.

    `taken` are names that relations of any kind have (schema.name, quoted where SQL needs it): in PostgreSQL an
    index shares its namespace with tables. Of two that would be called alike, the later one gets a number.
    """
    used = set(taken)
    names: dict[Index, str] = {}
    for index in indexes:
        if index not in names:
            names[index] = _free(index, used)
            used.add(names[index])
    return names


def _free(index: Index, used: Collection[str]) -> str:
    schema, table = parts(index.relation)[-2:]
    columns = joined(_columns(index))
    number = 0
    while True:
        name = qualified(schema, made_up(table, columns, _label(number)))
        if name not in used:
            return name
        number += 1


def _label(number: int) -> str:
    return f"idx{number}" if number else "idx"


def _columns(index: Index) -> list[str]:
    """What PostgreSQL calls the columns of the index: an expression by what it computes."""
    (statement,) = statements(index.create())
    node = statement.node
    elements = [entry.IndexElem for entry in (*node.indexParams, *node.indexIncludingParams)]
    return index_columns([element for element in elements if element is not None])
