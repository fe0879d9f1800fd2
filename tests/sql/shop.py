"""A small shop that the tests of this room resolve names against, and a short notation for references."""

from queryfit.sql.catalog import Catalog
from queryfit.sql.model import Reference
from queryfit.sql.statement import analyse

TABLES = {
    "public.customer": "id name email country is_active created_at",
    "public.orders": "id customer_id status created_at total note tags data",
    "public.item": "id order_id product_id quantity price",
    "public.product": "id sku title search parent_id valid",
    "archive.orders": "id archived_at",
    'public."Odd Name"': "id Mixed-Case",
}
VIEWS = {
    "public.paid_order": (
        "id customer_id email",
        (
            "SELECT o.id, o.customer_id, c.email FROM public.orders o"
            " JOIN public.customer c ON c.id = o.customer_id WHERE o.status = 'paid'::text;"
        ),
    ),
    "public.spending": (
        "customer_id spent",
        "SELECT orders.customer_id, sum(orders.total) AS spent FROM public.orders GROUP BY orders.customer_id;",
    ),
    "public.broken": ("id", "not a query at all"),
    "public.circle": ("id", "SELECT circle.id FROM public.circle"),
}


def catalog() -> Catalog:
    """The shop as the capture would hand it over."""
    relations, columns = [], []
    for kind, listed in (("table", TABLES), ("view", VIEWS)):
        for relation, what in listed.items():
            schema, name = relation.split(".", 1)
            text, definition = (what, None) if isinstance(what, str) else what
            relations.append(
                {
                    "relation": relation,
                    "schema": schema,
                    "name": name.strip('"'),
                    "kind": kind,
                    "definition": definition,
                }
            )
            columns += [
                {"relation": relation, "column_name": column, "position": position}
                for position, column in enumerate(text.split(), 1)
            ]
    return Catalog.from_rows(relations, columns[::-1])


SHOP = catalog()


def said(sql: str, *, drop: tuple[str, ...] = ("select", "insert", "set")) -> list[str]:
    """References of a statement in short, sorted, without the roles of `drop`; see `short`."""
    statement = analyse(sql, SHOP)
    assert statement.parse_error is None, statement.parse_error
    return sorted(short(row) for row in statement.references if row.role not in drop)


def short(row: Reference) -> str:
    """`alias.column role operator value`, what stands around the column in [], flags as !or, !optional."""
    words = [f"{row.alias}.{row.column_name}"]
    if row.expression is not None:
        words.append(f"[{row.expression}]")
    words.append(row.role)
    if row.operator is not None and row.operator != row.role.replace("_", " "):
        words.append(row.operator)
    if row.other_column is not None and row.other_relation is not None:
        words.append(f"{row.other_relation.removeprefix('public.')}.{row.other_column}")
    elif row.value is not None:
        words.append(row.value)
    elif row.value_kind is not None:
        words.append(f"<{row.value_kind}>")
    if row.position is not None:
        words.append(f"#{row.position}")
    if row.is_descending:
        words.append("desc")
    if row.is_descending is not None and row.is_nulls_first != row.is_descending:
        words.append(f"nulls {'first' if row.is_nulls_first else 'last'}")
    words += [flag for flag, is_set in (("!or", row.is_disjunct), ("!optional", row.is_optional)) if is_set]
    return " ".join(words)
