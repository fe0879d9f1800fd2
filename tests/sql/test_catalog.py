"""Names resolve as the server would resolve them."""

from queryfit.sql.catalog import Catalog, Relation
from tests.sql.shop import SHOP


def test_columns_come_in_the_order_of_the_table() -> None:
    relation = SHOP.lookup(None, "item")
    assert relation is not None
    assert relation.text == "public.item"
    assert relation.columns == ("id", "order_id", "product_id", "quantity", "price")


def test_the_first_schema_of_the_path_that_has_the_name_wins() -> None:
    for path, text in [
        (("public", "archive"), "public.orders"),
        (("archive", "public"), "archive.orders"),
        (("nowhere", "archive"), "archive.orders"),
    ]:
        relation = SHOP.lookup(None, "orders", path)
        assert relation is not None
        assert relation.text == text
    assert SHOP.lookup(None, "orders", ("nowhere",)) is None


def test_a_schema_leaves_no_choice() -> None:
    relation = SHOP.lookup("archive", "orders", ("public",))
    assert relation is not None
    assert relation.text == "archive.orders"
    assert SHOP.lookup("archive", "item") is None


def test_the_system_catalog_comes_first_unless_the_path_says_where() -> None:
    catalog = Catalog(
        Relation(f"{schema}.pg_class", schema, "pg_class", "table", ()) for schema in ("public", "pg_catalog")
    )
    first = catalog.lookup(None, "pg_class", ("public",))
    second = catalog.lookup(None, "pg_class", ("public", "pg_catalog"))
    assert first is not None
    assert second is not None
    assert (first.schema, second.schema) == ("pg_catalog", "public")


def test_names_that_need_quotes_are_found_without() -> None:
    relation = SHOP.lookup(None, "Odd Name")
    assert relation is not None
    assert relation.text == 'public."Odd Name"'
