# ruff: noqa: E501 - tables of statements, one a cell
"""One case of the corpus, and the tables that cases stand on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

OLDEST = 13
NEWEST = 99
ROWS = 200


@dataclass(frozen=True, slots=True)
class Case:
    """Statements on a known state of the schema.

    `form` groups cases that ask the same question, `variant` names this one. Only the last statement is what the case
    is about; those before it belong to the same file.
    """

    form: str
    variant: str
    before: tuple[str, ...]
    statements: tuple[str, ...]
    transactions: Literal["each", "file"] = "each"
    since: int = OLDEST
    until: int = NEWEST
    must_refuse: bool = False  # the model has to foresee that the server refuses it

    @property
    def name(self) -> str:
        return f"{self.form}: {self.variant}"

    def runs_on(self, version: int) -> bool:
        return self.since <= version <= self.until


def rows(table: str, columns: str, *expressions: str) -> str:
    """Fill a table; `g` is the row's number."""
    return f"insert into {table} ({columns}) select {', '.join(expressions)} from generate_series(1, {ROWS}) as g"


SHOP: tuple[str, ...] = (
    "create table customers (id int primary key, email text not null, code varchar(20), n int, region text)",
    rows("customers", "id, email, code, n, region", "g", "'v' || g", "'c' || g", "g % 7", "'r' || g % 3"),
    "create table orders (id bigint primary key, customer_id int, total numeric(10,2), state text, placed_at timestamptz, note varchar(50), n int not null, opt int, tags text[], doc jsonb)",
    rows(
        "orders", "id, customer_id, total, state, placed_at, note, n, opt, tags, doc",
        "g", "g", "g", "'s' || g % 3", "timestamptz '2024-01-01' + g * interval '1 hour'", "'n' || g", "g", "g",
        "array['t' || g]", "'{}'",
    ),
    "create index orders_state on orders (state)",
)  # fmt: skip
"""Two plain tables with rows; `orders.customer_id` holds keys of `customers` without a foreign key."""


def each(
    form: str,
    before: Sequence[str],
    statements: Iterable[str],
    *,
    since: int = OLDEST,
    until: int = NEWEST,
    must_refuse: bool = False,
) -> Iterable[Case]:
    """One case a statement; the statement is the variant's name."""
    for statement in statements:
        yield Case(form, statement, tuple(before), (statement,), since=since, until=until, must_refuse=must_refuse)
