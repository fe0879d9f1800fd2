"""Names as PostgreSQL writes them, checked against the server that writes them."""

from typing import TYPE_CHECKING

import pytest
from pglast import keywords

from queryfit.sql.names import qualified, quote_identifier, quote_literal

if TYPE_CHECKING:
    from tests.servers import Cluster

ODD = [
    "a", "A", "a b", 'a"b', "1a", "_a", "a$1", "é", "a\nb", "ünï", "select", "a.b", "", "a'b", "a\\b", "user", "x" * 80,
]  # fmt: skip
WORDS = sorted(
    keywords.RESERVED_KEYWORDS
    | keywords.TYPE_FUNC_NAME_KEYWORDS
    | keywords.COL_NAME_KEYWORDS
    | keywords.UNRESERVED_KEYWORDS
)


def test_quoting_is_that_of_the_newest_server(newest: "Cluster") -> None:
    names = ODD + WORDS
    with newest.connect() as connection:
        rows = connection.execute(
            "select name, quote_ident(name) as quoted, quote_literal(name) as literal"
            " from unnest(%s::text[]) as name where name !~ %s",
            [names, r"\\"],
        ).fetchall()
    assert {row["name"]: row["quoted"] for row in rows} == {row["name"]: quote_identifier(row["name"]) for row in rows}
    assert [row["literal"] for row in rows] == [quote_literal(row["name"]) for row in rows]


@pytest.mark.parametrize(
    ("schema", "name", "text"),
    [
        ("public", "orders", "public.orders"),
        ("public", "Order", 'public."Order"'),
        ("my schema", "select", '"my schema"."select"'),
        ("a", 'x"y', 'a."x""y"'),
    ],
)
def test_qualified(schema: str, name: str, text: str) -> None:
    assert qualified(schema, name) == text
