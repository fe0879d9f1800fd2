"""What may be a key is what PostgreSQL takes for one: asked of the server itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from queryfit.advise.candidates.expressions import NotIndexableError, understand
from queryfit.lab.planner import Index, Key
from tests.advise.candidate_shop import Shop, captured
from tests.conftest import VERSIONS

if TYPE_CHECKING:
    from tests.servers import Cluster


@pytest.fixture(scope="module")
def shop(cluster_of: Callable[[int], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    cluster = cluster_of(VERSIONS[-1])
    name = f"shop_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name)
    with captured(cluster, name, tmp_path_factory.mktemp("store")) as made:
        yield made
    cluster.drop_database(name)


UNDERSTOOD = [
    "lower(email)", "upper(email)", "md5(email)", "length(email)", "btrim(email)", "split_part(email, '@', 2)",
    "substring(email, 1, 3)", "left(email, 5)", "lower(email::varchar(20))", "email || name", "coalesce(email, name)",
    "nullif(email, '')", "total + 1", "total * 2 + customer_id", "abs(total)", "round(total, 1)", "customer_id % 10",
    "customer_id::text", "total::int4", "id::numeric", "is_flagged::int4", "doc ->> 'kind'", "doc -> 'kind' ->> 'a'",
    "doc #>> '{a,b}'", "(doc ->> 'size')::int4", "(doc ->> 'size')::numeric", "jsonb_typeof(doc)", "raw ->> 'a'",
    "date_trunc('month', local_at)", "extract('year', local_at)", "date_part('dow', local_at)", "local_at::date",
    "local_at::time", "date(local_at)", "timezone('UTC', created_at)", "date_trunc('day', timezone('UTC', created_at))",
    "local_at + '1 day'::interval", "case when is_flagged then total else 0 end", "email is null", "cents(total)",
    "to_tsvector('english', email)", "greatest(total, 5)", "total > 5", "status = 'open'", 'email collate "C"',
]  # fmt: skip
REFUSED = [
    "date_trunc('day', created_at)", "extract('year', created_at)", "created_at::date", "created_at::text",
    "local_at::text", "email::date", "mood::text", "noisy(total)", "random() + total", "now() - created_at",
    "created_at + '1 day'::interval", "to_char(local_at, 'YYYY')", "to_tsvector(email)", "concat(email, name)",
    "sum(total)", "email || created_at", "age(local_at)", "timezone('UTC', nothing)", "local_at::timestamptz",
]  # fmt: skip


@pytest.mark.parametrize("expression", UNDERSTOOD)
def test_understood_and_taken(shop: Shop, expression: str) -> None:
    schema = shop.schema("select * from orders")
    known = understand(expression, schema.tables["public.orders"], schema)
    assert shop.refusal(Index("public.orders", (Key(known.sql, is_column=False),))) is None


@pytest.mark.parametrize("expression", REFUSED)
def test_refused_by_both(shop: Shop, expression: str) -> None:
    schema = shop.schema("select * from orders")
    with pytest.raises(NotIndexableError):
        understand(expression, schema.tables["public.orders"], schema)
    text = expression.replace("extract('year', ", "extract(year from ")
    assert shop.refusal(Index("public.orders", (Key(text, is_column=False),))) is not None


@pytest.mark.parametrize(
    "expression",
    ["$1 || email", "lower(email", "doc ->> $1", "5", "lower(x.y.z)", "replace(email, '…', '')", "a; b", ""],
)
def test_what_is_no_expression_of_the_table(shop: Shop, expression: str) -> None:
    schema = shop.schema("select * from orders")
    with pytest.raises(NotIndexableError):
        understand(expression, schema.tables["public.orders"], schema)


def test_deep_nesting_is_refused(shop: Shop) -> None:
    schema = shop.schema("select * from orders")
    deep = "lower(" * 3000 + "email" + ")" * 3000
    with pytest.raises(NotIndexableError):
        understand(deep, schema.tables["public.orders"], schema)
