"""Texts of every kind: which reach the server, how, and why others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queryfit.lab.explain import Explainer
from queryfit.lab.guesses import without_modifiers
from queryfit.lab.planner import NotPlannedError, Query
from queryfit.lab.session import Session
from queryfit.lab.texts import plannable, unsquashed
from tests.capture.test_generic_plans import TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Cluster

TABLES = """
    create table big as select i as id, i % 1000 as g, md5(i::text) as t, now() - i * interval '1 s' as at,
        i / 3.0 as price from generate_series(1, 5000) as i;
    create index on big (id);
    analyze;
"""
UNTYPED = (
    "select sum(case when g = $1 then $2 else $3 end) from big",
    "select round(sum(price) / $1, $2), round(price * $3, $4) from big group by price",
    "select case when g > $1 then price / $2 else $3 end > $4 from big",
    "select avg(coalesce($1, $2)) from big having sum(price) > - $3",
    "select cast(price as decimal($1,$2)), t::varchar($3) from big where price > cast($4 as numeric($5))",
    "select $1 as channel, id from big union all select $2, g from big order by 1",
    "select greatest($1, price), least(at, $2), nullif($3, g), t || $4, substr(t, $5, $6) from big",
    "select * from big where g in ($1 /*, ... */) and (id, t) > ($2, $3) limit $4 offset $5",
    "select lag(g, $1) over (partition by t order by at), ntile($2) over (order by id) from big",
    "select * from big where at > current_date - $1 and at between now() - $2 and now() - $3::interval",
    "select jsonb_build_object($1, g, $2, t) from big where t ilike $3 or t ~ $4 or g % $5 = $6",
    "select * from big where id = any($1) and t <> all($2) and at >= date_trunc($3, now()) - $4",
    "with x as (select id, $1 as kind from big where g = $2) select kind from x group by 1 having count(*) > $3",
    "insert into big (id, g, t) values ($1, $2, $3), ($4, $5, $6) returning id + $7",
    "update big set g = case when id = $1 then $2 else g end, price = price * $3 where id in ($4, $5)",
    "merge into big using (select $1 as id) as new on big.id = new.id::int when matched then update set g = $2",
    "select 'ü', $1 + price, sum($2) over () from big -- ü $9",
    "select extract($1 from at), at + interval $2, at at time zone $3 from big where at::date = $4",
)  # fmt: skip


@pytest.fixture
def explainer(newest: Cluster, database: str) -> Iterator[Explainer]:
    newest.run(TABLES, database=database)
    with newest.connect(database) as connection:
        explainer = Explainer(Session(connection))
        connection.pgconn.exec_(b"begin")
        explainer.begin()
        yield explainer


def test_no_statement_is_lost_for_a_placeholder(explainer: Explainer) -> None:
    for text in (*TEXTS, *UNTYPED):
        query = Query(text, text)
        for _ in range(2):  # what was found out the first time is used the second
            plan = explainer.explain(query, plannable(query, explainer.session.version_number))
            assert plan.cost > 0, text
            assert plan.document["Node Type"]
    rows = explainer.session.run("select count(*) from pg_prepared_statements")
    assert rows == [(b"0",)]


def test_values_are_folded_and_nulls_are_values_too(explainer: Explainer) -> None:
    text = "select * from big where id = $1 and at > now() - $2"
    found = {}
    for values in (None, ("7", "'1 hour'"), (None, "'1 hour'"), ("null", "null")):
        query = Query("q", text, values)
        found[values] = explainer.explain(query, plannable(query, explainer.session.version_number))
    assert found["7", "'1 hour'"].document["Index Cond"] == "(big.id = 7)"
    assert found[None].document["Index Cond"] == "(big.id = $1)"
    assert found[None, "'1 hour'"].document["One-Time Filter"] == "false"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<insufficient privilege>", "hidden"),
        ("", "no statement"),
        ("-- nothing", "no statement"),
        ("select * from big where t = 'cut sho", "does not parse"),
        ("select 1; drop table big", "2 statements"),
        ("select 1;;select 2", "2 statements"),
        ("explain analyze delete from big", "not a statement that is planned"),
        ("analyze) delete from big", "does not parse"),
        ("prepare x as select 1", "not a statement that is planned"),
        ("execute queryfit_what_if", "not a statement that is planned"),
        ("select * into other from big", "creates a table"),
        ("create table x as select 1", "not a statement that is planned"),
        ("copy big to program 'id'", "not a statement that is planned"),
        ("do $$ begin end $$", "not a statement that is planned"),
        ("select 1\0; drop table big", "NUL"),
        ("select '" + "x" * 200_000 + "'", "longer than"),
        ("vacuum", "not a statement that is planned"),
        ("declare c cursor for select 1", "not a statement that is planned"),
        ("select " + "(" * 20_000, "does not parse"),
        ("\ud800", "does not parse"),
    ],
)
def test_what_is_no_plannable_statement_never_reaches_a_server(text: str, words: str) -> None:
    with pytest.raises(NotPlannedError, match=words):
        plannable(Query("q", text), 180000)


def test_a_text_that_was_cut_says_so() -> None:
    with pytest.raises(NotPlannedError) as caught:
        plannable(Query("q", "select * from big where t = 'cut sho"), 180000)
    assert "track_activity_query_size" in (caught.value.hint or "")


def test_refused_texts_leave_the_transaction_usable(explainer: Explainer) -> None:
    good = Query("good", "select count(*) from big")
    text = plannable(good, explainer.session.version_number)
    cost = explainer.explain(good, text).cost
    for bad in (
        "select nothing from big", "select * from absent", "select absent(id) from big", "select $1::absent",
        "select 1 / 0", "select * from pg_temp.mine", "select absent($1) + $2 from big", "table big order by nothing",
        "select * from big where id = $1 and t = absent($2, $3) + $4", "select * from big where t = 5",
        "select * from big tablesample absent (1)", "insert into big values (1, 2, 3, 4, 5, 6, 7)",
    ):  # fmt: skip
        for _ in range(2):
            query = Query(bad, bad)
            with pytest.raises(NotPlannedError):
                explainer.explain(query, plannable(query, explainer.session.version_number))
        assert explainer.explain(good, text).cost == cost


def test_squashed_lists_are_lists(explainer: Explainer) -> None:
    assert unsquashed("a in ($1 /*, ... */) and b NOT IN ($2 /*, ... */)") == "a = any ($1) and b <> all ($2)"
    assert unsquashed("a in ($1) and b in ($2, $3 /*, ... */)") == "a in ($1) and b in ($2, $3 /*, ... */)"
    query = Query("q", "select * from big where id in ($1 /*, ... */)")
    plan = explainer.explain(query, plannable(query, explainer.session.version_number))
    assert plan.document["Plan Rows"] == 10
    with_values = Query("q", query.text, ("'{1,2,3}'",))
    plan = explainer.explain(with_values, plannable(with_values, explainer.session.version_number))
    assert plan.document["Plan Rows"] == 3


def test_modifiers_of_types_are_taken_off_only_where_they_are_parameters() -> None:
    assert without_modifiers("select cast(a as decimal($1,$2))") == "select cast(a as decimal)"
    kept = "select cast(a as decimal(15,4)), time($1, 2), numeric(a, $1), varchar 'x($1)', interval ($2)"
    assert without_modifiers(kept) == kept
