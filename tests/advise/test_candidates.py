"""Each form of index: a statement that asks for it, whose plan then uses it, and a near miss that must not."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from queryfit.advise.candidates.evidence import schema_of_session, statements_of_session
from queryfit.advise.candidates.facts import Column
from queryfit.advise.candidates.propose import Options, candidates, propose
from queryfit.lab.planner import Index
from tests.advise.candidate_shop import Shop, captured, subject, without
from tests.conftest import VERSIONS

if TYPE_CHECKING:
    from tests.servers import Cluster

SMALL = Options(brin_pages=20)  # the shop has no huge table


@pytest.fixture(scope="module")
def shop(cluster_of: Callable[[int], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    cluster = cluster_of(VERSIONS[-1])
    name = f"shop_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name)
    with captured(cluster, name, tmp_path_factory.mktemp("store")) as made:
        yield made
    cluster.drop_database(name)


def found(shop: Shop, text: str, wanted: str) -> Index:
    proposal = shop.proposal(text, options=SMALL)
    made = {subject(candidate.index): candidate.index for candidate in proposal.candidates}
    assert wanted in made, "\n".join(made)
    return made[wanted]


PROPOSED = {
    "equality": ("select * from orders where customer_id = 5", "orders (customer_id)"),
    "equality, then range": (
        "select * from orders where customer_id = 5 and created_at > '2026-01-02'",
        "orders (customer_id, created_at)",
    ),
    "equality, then order": (
        "select id from orders where customer_id = 5 order by created_at desc limit 10",
        "orders (customer_id, created_at)",
    ),
    "order of two directions, read backwards": (
        "select id from orders order by total desc nulls last, created_at limit 5",
        "orders (total nulls first, created_at desc)",
    ),
    "order of a keyset": (
        "select id from orders where (customer_id, total) > (3, 5) order by customer_id, total limit 5",
        "orders (customer_id, total)",
    ),
    "join": ("select i.price from orders o join item i on i.order_id = o.id where o.total = 5", "item (order_id)"),
    "join, holding all that is read": (
        "select i.quantity from orders o join item i on i.order_id = o.id where o.total = 5",
        "item (order_id, quantity)",
    ),
    "key of a semi-join": (
        "select id from orders where customer_id in (select product_id from item where quantity = 3)",
        "orders (customer_id)",
    ),
    "group": ("select customer_id, sum(total) from orders group by customer_id", "orders (customer_id, total)"),
    "distinct": ("select distinct customer_id, status from orders", "orders (customer_id, status)"),
    "greatest value": (
        "select max(created_at) from orders where customer_id = 7", "orders (customer_id, created_at)",
    ),
    "window": (
        "select id, row_number() over (partition by customer_id order by created_at) from orders",
        "orders (customer_id, created_at, id)",
    ),
    "arm of an OR": ("select * from orders where customer_id = 4 or total = 5", "orders (customer_id, total)"),
    "covering": (
        "select status, total, is_flagged from orders where created_at between '2026-01-02' and '2026-01-03'",
        "orders (created_at) include (is_flagged, status, total)",
    ),
    "partial by a state": (
        "select * from orders where status = 'open' and customer_id = 7", "orders (customer_id) where status = 'open'",
    ),
    "partial by states": (
        "select * from orders where status in ('open', 'new') and customer_id = 7",
        "orders (customer_id) where status in ('open', 'new')",
    ),
    "partial by what is not": (
        "select * from orders where status <> 'done' order by created_at",
        "orders (created_at) where status <> 'done'",
    ),
    "partial by a boolean": (
        "select * from orders where is_flagged and customer_id = 5", "orders (customer_id) where is_flagged",
    ),
    "partial by a null test": (
        "select * from orders where deleted_at is not null order by created_at",
        "orders (created_at) where deleted_at is not null",
    ),
    "partial, as a parameter is never null": (
        "select * from orders where reference = 'ref10'", "orders (reference) where reference is not null",
    ),
    "expression": ("select * from orders where lower(email) = 'x'", "orders ((lower(email)))"),
    "expression in an order": (
        "select id from orders order by lower(email) limit 3", "orders ((lower(email)))",
    ),
    "date_trunc of a timestamp": (
        "select * from orders where date_trunc('day', local_at) = '2026-01-01'",
        "orders ((date_trunc('day', local_at)))",
    ),
    "extract": (
        "select * from orders where extract(year from local_at) = 2026", "orders ((extract(year from local_at)))",
    ),
    "a field of a document": ("select * from orders where doc ->> 'kind' = '5'", "orders ((doc ->> 'kind'))"),
    "a field of a document, as a number": (
        "select * from orders where (doc ->> 'size')::int > 3990", "orders (((doc ->> 'size')::int4))",
    ),
    "a cast": ("select * from orders where local_at::date = '2026-01-03'", "orders ((local_at::date))"),
    "a time in a zone": (
        "select * from orders where (created_at at time zone 'UTC')::date = '2026-01-03'",
        "orders ((timezone('UTC', created_at)::date))",
    ),
    "a function of the schema": ("select * from orders where cents(total) = 500", "orders ((cents(total)))"),
    "pattern": ("select * from orders where email like 'User12%'", "orders (email text_pattern_ops)"),
    "pattern under C": ("select * from orders where name like 'name 12%'", "orders (name)"),
    "pattern behind an equality": (
        "select * from orders where customer_id = 5 and email like 'User1%'",
        "orders (customer_id, email text_pattern_ops)",
    ),
    "trigrams": (
        "select * from orders where email ilike '%er12%'", "orders using gin (email public.gin_trgm_ops)",
    ),
    "containment of documents": (
        """select * from orders where doc @> '{"kind": 5}'""", "orders using gin (doc jsonb_path_ops)",
    ),
    "documents of one customer": (
        """select * from orders where customer_id = 7 and doc @> '{"kind": 5}'""",
        "orders using gin (customer_id, doc jsonb_path_ops)",
    ),
    "what is read, without any condition": ("select sum(total), sum(id) from orders", "orders (id, total)"),
    "keys of documents": ("select * from orders where doc ? 'kind'", "orders using gin (doc)"),
    "arrays": ("select * from orders where tags @> array['t5']", "orders using gin (tags)"),
    "full text": (
        "select * from orders where search @@ to_tsquery('simple', 'word7')", "orders using gin (search)",
    ),
    "full text of an expression": (
        "select * from orders where to_tsvector('simple', email) @@ to_tsquery('simple', 'user7')",
        "orders using gin ((to_tsvector('simple', email)))",
    ),
    "ranges": (
        "select * from orders where during && tstzrange('2026-01-05', '2026-01-06')", "orders using gist (during)",
    ),
    "ranges by quadrants": (
        "select * from orders where during @> timestamptz '2026-01-05'", "orders using spgist (during)",
    ),
    "places": ("select * from orders where place <@ box '((0,0),(3,3))'", "orders using gist (place)"),
    "nearest": ("select * from orders order by place <-> point '(3,3)' limit 5", "orders using gist (place)"),
    "networks": ("select * from orders where address <<= '10.0.7.0/24'", "orders using gist (address inet_ops)"),
    "hash of what is wide": ("select * from orders where url = 'https://example.org'", "orders using hash (url)"),
    "hash of what no B-tree holds": ("select * from orders where body = 'x'", "orders using hash (body)"),
    "blocks of a table in order": (
        "select * from orders where created_at between '2026-01-02' and '2026-01-03'",
        "orders using brin (created_at)",
    ),
    "quoted names": (
        'select plain from "We ird"."Odd ""Name" where "Mixed-Case" = 5', '"We ird"."Odd ""Name" ("Mixed-Case")',
    ),
    "a table of the same name elsewhere, under row security": (
        "select note from archive.orders where customer_id = 5", "archive.orders (customer_id)",
    ),
    "the root for a partition": ("select detail from log_2 where kind = 'k5'", "log (kind)"),
    "below a view": ("select total from done_order where buyer = 5", "orders (customer_id)"),
    "materialized view": ("select * from daily where part = 5", "daily (part)"),
    "update": ("update orders set status = 'x' where customer_id = 4", "orders (customer_id)"),
    "an alias that is called like nothing else": (
        "with o as (select customer_id as c, total from orders) select total from o where c = 5",
        "orders (customer_id)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PROPOSED)
def test_is_proposed_and_used(shop: Shop, case: str) -> None:
    text, wanted = PROPOSED[case]
    assert shop.uses(text, found(shop, text, wanted))


MISSED = {
    "a parameter may be any state": ("select * from orders where status = $1 and customer_id = 7", " where "),
    "one of many values": ("select * from orders where customer_id = 7 and total = 5", "where customer_id"),
    "nearly all rows": ("select * from orders where status = 'done' and customer_id = 7", "where status = 'done'"),
    "a key that nearly all rows have": ("select * from orders where deleted_at is null and total = 1", "deleted_at)"),
    "a column without nulls": ("select * from orders where total = 5", "is not null"),
    "date_trunc depends on the time zone": (
        "select * from orders where date_trunc('day', created_at) = '2026-01-01'", "date_trunc",
    ),
    "a cast depends on the time zone": ("select * from orders where created_at::date = '2026-01-03'", "::date"),
    "a volatile function": ("select * from orders where noisy(total) = 5", "noisy"),
    "to_tsvector depends on a setting": (
        "select * from orders where to_tsvector(email) @@ to_tsquery('x')", "to_tsvector",
    ),
    "a parameter within an expression": ("select * from orders where doc ->> $1 = '5'", "doc"),
    "a pattern that starts anywhere is no B-tree": ("select * from orders where email like '%x'", "pattern_ops"),
    "a pattern under C needs no class": ("select * from orders where name like 'name 1%'", "pattern_ops"),
    "a fixed start needs no trigrams": ("select * from orders where email like 'User12%'", "trgm"),
    "json has no operators": ("select * from orders where raw ->> 'a' = '1' and raw is not null", "(raw)"),
    "no index for = any(column)": ("select * from orders where 't5' = any(tags)", "tags"),
    "a point has no order": ("select * from orders where place ~= point '(1,1)'", "orders (place"),
    "too wide for a B-tree": ("select id from orders where body = 'x'", "orders (body"),
    "too wide to be included": ("select body from orders where total > 5", "include"),
    "hash of what is narrow": ("select * from orders where email = 'x'", "using hash"),
    "blocks of a table in disorder": ("select * from orders where total > 95", "brin"),
    "the whole row is read": ("select * from orders where created_at > '2026-01-03'", "include"),
    "the whole table is read": ("select * from orders", "orders"),
    "rows are locked": ("select total from orders where created_at > '2026-01-03' for update", "include"),
    "rows are deleted": ("delete from orders where created_at > '2026-01-03' and total is null", "include"),
    "few rows": ("select label from tiny where id = 5", "tiny"),
    "a foreign table": ("select name from far where id = 5", "far"),
    "no partition of its own": ("select detail from log_2 where kind = 'k5'", "log_2"),
    "an order over two tables": (
        "select o.* from orders o, item i where i.order_id = o.id order by o.total, i.quantity, o.created_at",
        "(total, created_at",
    ),
    "an order that grouping undoes": (
        "select customer_id from (select customer_id, sum(total) s from orders group by 1) x order by s",
        "orders (total)",
    ),
    "there already": ("select note from visit where customer_id = 5", "visit (customer_id)"),
    "a name of the subquery, not of the table": (
        "select 1 from (select email as note_text from orders) x where lower(note_text) = 'x'", "lower",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISSED)
def test_near_miss(shop: Shop, case: str) -> None:
    text, unwanted = MISSED[case]
    assert [one for one in shop.subjects(text, options=SMALL) if unwanted in one] == []


def test_postgresql_takes_every_candidate(shop: Shop) -> None:
    texts = [text for text, _ in (*PROPOSED.values(), *MISSED.values())]
    made = shop.proposal(*texts, options=replace(SMALL, max_width=4, least_per_table=200)).candidates
    assert len(made) > 85
    shop.takes([candidate.index for candidate in made])


def test_same_input_same_order(shop: Shop) -> None:
    texts = [text for text, _ in PROPOSED.values()]
    first, again = shop.proposal(*texts), shop.proposal(*texts)
    assert first == again
    assert len({candidate.index for candidate in first.candidates}) == len(first.candidates)


def test_bounds_hold_and_keep_the_heaviest(shop: Shop) -> None:
    texts = [text for text, _ in PROPOSED.values()]
    every = shop.proposal(*texts).candidates
    few = shop.proposal(*texts, options=Options(most=5)).candidates
    assert few == every[:5]
    one = shop.proposal(*texts, options=Options(per_table=1, max_width=2)).candidates
    assert len({candidate.index.relation for candidate in one}) == len(one)
    assert max(len(candidate.index.keys) for candidate in one) <= 2


def test_a_small_table_keeps_the_first_choice_of_each_statement(shop: Shop) -> None:
    texts = [text for text, _ in PROPOSED.values()]
    few = shop.proposal(*texts, options=replace(SMALL, least_per_table=0, pages_per_candidate=100_000)).candidates
    served = {fingerprint for candidate in few for fingerprint in candidate.fingerprints}
    assert served == {statement.fingerprint for statement in shop.statements(*texts)}
    assert len(few) < len(shop.proposal(*texts, options=SMALL).candidates)


def test_two_statements_share_an_index(shop: Shop) -> None:
    texts = (
        "select price from item where order_id between 5 and 900",
        "select product_id from item where order_id between 2000 and 2900",
    )
    made = {subject(candidate.index): candidate for candidate in shop.proposal(*texts).candidates}
    shared = [
        candidate for candidate in made.values() if len(candidate.fingerprints) == 2 and "; and " in candidate.why
    ]
    assert "item (order_id, price, product_id)" in [subject(candidate.index) for candidate in shared], "\n".join(made)
    alone = shop.proposal(texts[0]).candidates
    assert not [candidate for candidate in alone if "; and " in candidate.why]


def test_an_index_there_is_extended(shop: Shop) -> None:
    made = shop.proposal("select id from visit where customer_id = 5 order by at").candidates
    extended = {subject(candidate.index): candidate for candidate in made}
    assert extended["visit (customer_id, at)"].replaces == ("public.visit_customer",)
    # the partial one is another's, the unique one keeps values apart
    others = ("select note, page from visit where at > '2026-01-02'", "select at from visit where page > 60")
    for candidate in shop.proposal(*others).candidates:
        assert not {"public.visit_open", "public.visit_at"} & set(candidate.replaces)


def test_one_key_in_the_order_of_a_large_table_beside_two(shop: Shop) -> None:
    text = "select note from visit where at between '2026-01-02' and '2026-01-03'"
    assert "visit (at)" not in shop.subjects(text)
    schema = shop.schema(text)
    visit = schema.tables["public.visit"]
    large = replace(schema, tables={visit.name: replace(visit, pages=20_000.0)})
    assert "visit (at)" in shop.subjects(text, schema=large)
    mixed = {**visit.columns, "at": replace(visit.columns["at"], correlation=0.1)}
    disorder = replace(schema, tables={visit.name: replace(visit, pages=20_000.0, columns=mixed)})
    assert "visit (at)" not in shop.subjects(text, schema=disorder)


def test_covering_over_an_index_there_replaces_it(shop: Shop) -> None:
    made = shop.proposal("select sum(customer_id) from visit where page > 60", options=Options(max_width=2)).candidates
    extended = [candidate for candidate in made if "public.visit_page" in candidate.replaces]
    assert "visit (page, at) include (customer_id)" in [subject(candidate.index) for candidate in extended]


def test_what_no_index_can_give_is_told(shop: Shop) -> None:
    proposal = shop.proposal(
        "select * from orders where created_at::date = '2026-01-03'",
        "select * from orders where 't5' = any(tags)",
        "select count(*) from orders having sum(total) > 5",
    )
    told = {rejected.candidate.index.keys[0].expression: rejected.reason for rejected in proposal.rejected}
    assert told == {
        "created_at::date": "a cast from timestamptz to date is not immutable, or not known to be",
        "$1 = any(tags)": "PostgreSQL has no index for it; written as tags @> array[$1] it has one",
    }


def test_values_that_were_not_captured_do_not_look_wide(shop: Shop) -> None:
    text = "select id from orders where email = 'x'"
    schema = shop.schema(text)
    orders = schema.tables["public.orders"]
    silent = replace(orders.columns["email"], common_values=None, common_frequencies=(), has_histogram=False)
    tables = {orders.name: replace(orders, columns={**orders.columns, "email": silent})}
    assert "orders (email)" not in shop.subjects(text, schema=replace(schema, tables=tables))
    redacted = replace(schema, tables=tables, has_values=False)
    assert "orders (email)" in shop.subjects(text, schema=redacted)


def test_tables_that_were_never_analyzed(shop: Shop) -> None:
    text = "select total from orders where status = 'open' and email = 'x' and created_at > now() order by local_at"
    schema = shop.schema(text)
    orders = schema.tables["public.orders"]
    columns = {
        name: Column(name, column.base_type, column.category, is_not_null=column.is_not_null)
        for name, column in orders.columns.items()
    }
    made = shop.subjects(
        text, schema=replace(schema, tables={orders.name: replace(orders, columns=columns, rows=None)})
    )
    assert "orders (email, status, created_at)" in made
    assert not [one for one in made if " where " in one]


def test_the_weight_of_statements_ranks_them(shop: Shop) -> None:
    texts = ("select id from orders where total = 5", "select id from orders where local_at = '2026-01-05'")
    schema = shop.schema(*texts)
    first, second = shop.statements(*texts)
    for light, heavy, wanted in ((first, second, "local_at"), (second, first, "total")):
        made = candidates([replace(light, weight=1.0), replace(heavy, weight=50.0)], schema)
        assert made[0].index.keys[0].expression == wanted
        assert made[0].fingerprints == {heavy.fingerprint}


def test_trigrams_need_their_extension(shop: Shop) -> None:
    text = "select * from orders where email like '%er12%'"
    bare = without(shop.schema(text), "pg_trgm")
    proposal = shop.proposal(text, schema=bare)
    assert proposal.candidates == ()
    (rejected,) = proposal.rejected
    assert "pg_trgm, which is not installed" in rejected.reason


def test_scalars_in_gin_need_their_extension(shop: Shop) -> None:
    text = """select * from orders where customer_id = 7 and doc @> '{"kind": 5}'"""
    made = shop.subjects(text, schema=without(shop.schema(text), "btree_gin"))
    assert [one for one in made if "gin" in one] == ["orders using gin (doc jsonb_path_ops)", "orders using gin (doc)"]


def test_a_database_under_c_needs_no_pattern_class(shop: Shop) -> None:
    text = "select * from orders where email like 'User12%'"
    made = shop.subjects(text, schema=replace(shop.schema(text), is_c_collation=True))
    assert made == ["orders (email)"]


def test_why_names_what_it_is_for(shop: Shop) -> None:
    made = shop.proposal("select id from orders where customer_id = 5 order by created_at limit 3").candidates
    why = {subject(candidate.index): candidate.why for candidate in made}
    assert why["orders (customer_id, created_at)"] == "equality on customer_id, order by created_at"
    unique = shop.proposal("select id from orders where url = 'x'").candidates
    assert "url looks unique" in " ".join(candidate.why for candidate in unique)


def test_partitioned_tables_are_indexed_at_the_root(shop: Shop) -> None:
    made = shop.proposal("select detail from log where kind = 'k5' and at > '2026-02-01'").candidates
    assert {candidate.root for candidate in made} == {"public.log"}
    assert {candidate.root for candidate in shop.proposal("select id from orders where total = 5").candidates} == {None}


def test_captured_statements_become_candidates(shop: Shop) -> None:
    """pg_stat_statements has the vacuum and whatever ran here: all is read, nothing of it is fatal."""
    statements = statements_of_session(shop.session, shop.database)
    schema = schema_of_session(shop.session, shop.database)
    assert candidates(statements, schema) == list(propose(statements, schema).candidates)


def test_the_share_of_a_value() -> None:
    whole = Column("x", "text", "S", distinct_rows=100, common_values='{a,b,"c d"}', common_frequencies=(0.5, 0.2))
    assert [whole.share_of(value) for value in ("a", "c d", "other")] == [0.5, 0.2, 0.01]
    cut = replace(whole, common_values="{a,b,cd")  # not {a,b,c}
    assert [cut.share_of(value) for value in ("b", "c")] == [0.2, 0.01]
