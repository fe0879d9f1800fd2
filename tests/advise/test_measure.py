"""A set measured on real servers: what is said of each statement, and that nothing of it stays."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from queryfit.advise.measure.alternation import alternate
from queryfit.advise.measure.measure import Measured, Options, Outcome, Trial, measure, trials_of
from queryfit.advise.model import Advice, Effect, Skipped, Weighted, Workload
from queryfit.errors import QueryfitError
from queryfit.lab.planner import Index, Key, Query
from tests.servers import Cluster

ON_CUSTOMER = Index("public.orders", (Key("customer"),))
QUICK = Options(rounds=3, most_rounds=3, controls=1)
SHOP = """
grant create on schema public to keeper;
create table orders (id int primary key, customer int, state text, note text);
alter table orders owner to keeper;
insert into orders select i, i % 2000, 'open', md5(i::text) from generate_series(1, 60000) as i;
create index orders_note on orders (note);
create table empty_here (id int);
"""


def set_up(cluster: Cluster, database: str, *scripts: str) -> None:
    """Run scripts as the superuser, and wait until no other session is left that would look like somebody at work."""
    for script in scripts:
        cluster.run(script, database=database)
    left = f"select from pg_stat_activity where datname = '{database}' and application_name <> 'queryfit'"
    deadline = time.monotonic() + 10
    while cluster.run(left) and time.monotonic() < deadline:  # one that was closed can be seen for a moment longer
        time.sleep(0.05)


def shop(cluster: Cluster, database: str) -> str:
    """A DSN of the shop's database, as the owner of its tables, who is no superuser."""
    if not cluster.run("select from pg_roles where rolname = 'keeper'"):
        cluster.run("create role keeper login")
    set_up(cluster, database, SHOP, "vacuum analyze orders")
    return cluster.dsn(database, user="keeper")


def trial(text: str, *, values: tuple[str | None, ...] | None = None, **more: object) -> Trial:
    return replace(Trial(text, Query(text, text, values)), **more)  # type: ignore[arg-type]


def indexes_there(cluster: Cluster, database: str) -> set[str]:
    rows = cluster.run("select indexname from pg_indexes where schemaname not like 'pg_%'", database=database)
    return {row["indexname"] for row in rows}


def reasons(measured: Measured) -> dict[str, str]:
    return {skipped.fingerprint: skipped.reason for skipped in measured.skipped}


def test_a_statement_that_the_set_helps_is_faster_reads_less_and_nothing_stays(cluster: Cluster, database: str) -> None:
    dsn = shop(cluster, database)
    told: list[str] = []
    helped = trial("select * from orders where customer = 7", predicted_indexes=frozenset({"mine"}), weight=3.0)
    bound = trial("select * from orders where customer = $1 order by $2::text", values=("9", "'x'"))
    # texts as pg_stat_statements keeps them, which PREPARE does not take as they are
    typed = trial("select now() - interval $1 from orders where customer = $2", values=("'1 day'", "5"))
    other = trial("select max(length(note)) from orders")
    measured = measure(
        dsn, [("mine", ON_CUSTOMER)], [], [helped, bound, typed, other], replace(QUICK, most_rounds=9, tell=told.append)
    )
    outcomes = {outcome.trial: outcome for outcome in measured.outcomes}
    for each in (helped, bound, typed):
        found = outcomes[each]
        assert found.is_faster
        assert not found.is_slower
        assert found.after.indexes == {"mine"}
        assert found.before.blocks is not None
        assert found.after.blocks is not None
        assert found.after.blocks < found.before.blocks / 5
        assert found.interval.low <= found.ratio <= found.interval.high < 1
    assert outcomes[helped].is_as_predicted
    assert outcomes[other].is_control
    assert measured.noise is not None
    assert measured.slower == ()
    assert measured.is_complete
    assert measured.manner == "transaction"
    assert measured.ratios[helped.fingerprint] < 0.5
    assert measured.before_ms > measured.after_ms
    assert [built.name for built in measured.built] == ["mine"]
    assert 300_000 < measured.built[0].size_bytes < 2_000_000
    assert indexes_there(cluster, database) == {"orders_pkey", "orders_note"}
    assert any("in one transaction that is rolled back" in line for line in told)
    assert any("4 of 4 statements" in line for line in told)


def test_an_index_that_the_set_does_without_is_hidden_and_what_gets_slower_is_named(
    newest: Cluster, database: str
) -> None:
    dsn = shop(newest, database)
    needs_it = trial("select id from orders where note = 'x'")
    measured = measure(dsn, [], ["public.orders_note", "public.orders_pkey", "public.gone"], [needs_it], QUICK)
    assert [outcome.trial for outcome in measured.slower] == [needs_it]
    assert measured.outcomes[0].before.indexes == {"orders_note"}
    assert measured.hidden == ("public.orders_note",)
    assert dict(measured.not_hidden).keys() == {"public.orders_pkey", "public.gone"}
    assert indexes_there(newest, database) == {"orders_pkey", "orders_note"}


def test_what_is_not_run_is_named_with_its_reason(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    expected = {
        "update orders set note = 'x'": "writes",
        "with gone as (delete from orders returning *) select * from gone": "writes",
        "select * from orders for update": "locks rows",
        "select * into copied from orders": "creates a table",
        "select * from orders where id = $1": "no values",
        "select pg_terminate_backend(1)": "pg_terminate_backend",
        "select pg_catalog.pg_advisory_lock(1)": "pg_advisory_lock",
        "select 1; drop table orders": "2 statements",
        "drop table orders": "not a statement that is planned",
        "select from where": "does not parse",
        "select * from nowhere": "does not exist",
        "select nextval('counter')": "read-only",
        "select 1 / (id - id) from orders": "division by zero",
    }
    set_up(newest, database, "create sequence counter; alter sequence counter owner to keeper")
    trials = [trial(text) for text in expected]
    hostile = trial("select * from orders where note = $1", values=("'x') union select (pg_sleep(9)::text",))
    measured = measure(dsn, [("mine", ON_CUSTOMER)], [], [*trials, hostile], replace(QUICK, controls=9))
    found = reasons(measured)
    assert measured.outcomes == ()
    assert found.pop(hostile.fingerprint).endswith("not a constant")
    assert {text: part for text, part in expected.items() if part not in found.get(text, "")} == {}
    assert newest.run("select count(*) as n from orders where note <> 'x'", database=database)[0]["n"] == 60_000


def test_writing_statements_run_only_when_asked_and_are_rolled_back(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    writing = trial("update orders set customer = customer + 1 where id <= 2000")
    measured = measure(dsn, [("mine", ON_CUSTOMER)], [], [writing], replace(QUICK, is_writing=True))
    outcome = measured.outcomes[0]
    assert outcome.before.blocks is not None
    assert outcome.after.blocks is not None
    assert outcome.after.blocks > outcome.before.blocks  # the index must be maintained
    changed = newest.run("select count(*) as n from orders where customer <> id % 2000", database=database)
    assert changed == [{"n": 0}]


def test_a_run_that_reaches_its_limit_gives_a_bound(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    # without the index every row is compared with every other
    slow = trial("select count(*) from orders as a where exists "
                 "(select from orders as b where b.customer = a.customer + 100000 offset 0)")  # fmt: skip
    endless = trial(
        "select count(*) from orders as a, orders as b where a.customer + b.customer = 1 and a.customer > 0"
    )
    measured = measure(dsn, [("mine", ON_CUSTOMER)], [], [slow, endless], replace(QUICK, run_s=0.5))
    outcome = {found.trial: found for found in measured.outcomes}[slow]
    assert outcome.is_bound
    assert outcome.before.times_ms == (500,)
    assert outcome.before.blocks is None
    assert outcome.ratio < 0.9
    assert not outcome.is_slower


def test_the_limit_of_the_whole_ends_it_and_says_for_which_statements(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    trials = [trial(f"select count(*) from orders where customer = {number} and note > 'a'") for number in range(40)]
    start = time.monotonic()
    measured = measure(dsn, [("mine", ON_CUSTOMER)], [], trials, replace(QUICK, total_s=0.6))
    assert time.monotonic() - start < 5
    assert not measured.is_complete
    assert len(measured.outcomes) + len(measured.skipped) == 40
    assert any("time limit" in reason for reason in reasons(measured).values())


def test_all_kinds_of_indexes_are_made_and_one_that_fails_does_not_end_it(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    set_up(
        newest,
        database,
        'create table "Odd Name" ("When" date, kind int) partition by list (kind);'
        'create table odd_1 partition of "Odd Name" for values in (1);'
        'create table odd_2 partition of "Odd Name" for values in (2);'
        "insert into \"Odd Name\" select date '2026-01-01' + i % 9000, 1 + i % 2 from generate_series(1, 30000) as i;"
        'alter table "Odd Name" owner to keeper; alter table odd_1 owner to keeper; alter table odd_2 owner to keeper;',
        'vacuum analyze "Odd Name"',
    )
    lower = Index("public.orders", (Key("lower(state || note)", is_column=False),))
    whens = Index('public."Odd Name"', (Key('"When"'),))
    partial = Index("public.orders", (Key("id"),), predicate="state = 'lost'")
    broken = Index("public.orders", (Key("no_such_column"),))
    like_one_there = Index("public.orders", (Key("note"),))
    trials = [
        trial("select * from orders where lower(state || note) = 'open77'", predicted_indexes=frozenset({"lower"})),
        trial('select * from "Odd Name" where "When" = \'2026-05-05\'', predicted_indexes=frozenset({"whens"})),
        trial("select id from orders where state = 'lost'", predicted_indexes=frozenset({"partial"})),
    ]
    measured = measure(
        dsn,
        [("lower", lower), ("whens", whens), ("partial", partial), ("broken", broken), ("twin", like_one_there)],
        [], trials, QUICK,
    )  # fmt: skip
    assert [outcome.is_as_predicted for outcome in measured.outcomes] == [True, True, True]
    assert dict(measured.not_built) == {"broken": 'column "no_such_column" does not exist'}
    assert any("public.orders (note) is there already as public.orders_note" in note for note in measured.notes)
    assert indexes_there(newest, database) == {"orders_pkey", "orders_note"}


def test_a_clone_that_was_never_analyzed_is_said_to_be_one(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    set_up(
        newest,
        database,
        "create table raw (id int); insert into raw select generate_series(1, 40000); alter table raw owner to keeper",
    )
    measured = measure(dsn, [("mine", Index("public.raw", (Key("id"),)))], [], [], QUICK)
    assert any(note.startswith("public.raw was never analyzed here") for note in measured.notes)


def test_a_set_of_which_nothing_can_be_built_is_an_error_with_a_reason(newest: Cluster, database: str) -> None:
    dsn = shop(newest, database)
    with pytest.raises(QueryfitError, match=r"must be owner of table empty_here") as caught:
        measure(dsn, [("mine", Index("public.empty_here", (Key("id"),)))], [], [], QUICK)
    assert caught.value.hint is not None


def test_trials_of_advice_share_the_calls_of_a_statement_among_the_variants_that_can_run() -> None:
    text = "select * from orders where customer = $1"
    variants = tuple(Query(f"f/{key}", text, values) for key, values in (("g", None), ("a", ("1",)), ("b", ("2",))))
    workload = Workload((Weighted("f", text, variants, 0.5, calls_per_day=100.0),), unit="ms per day")
    effect = Effect("f", 80.0, 20.0, 0.5, ("mine",))
    advice = Advice(workload, 1, 1, 1, 0, 0, (), (), (effect,), (), (), 0, 0, is_complete=True)
    trials = trials_of(advice)
    assert [found.query.key for found in trials] == ["f/a", "f/b"]
    assert {(found.weight, found.predicted_ratio, found.predicted_indexes) for found in trials} == {
        (50.0, 0.25, frozenset({"mine"}))
    }


def test_an_index_that_the_clock_speaks_against_is_withdrawn_and_what_it_replaced_stays(
    newest: Cluster, database: str
) -> None:
    dsn = shop(newest, database)
    # what is looked for stands at the end of the order: the planner, who takes the two for independent, hopes
    set_up(
        newest,
        database,
        "create table event (id int, kind int, at int, note text);"
        "insert into event select i, case when i > 119000 then 1 else 2 + i % 99 end, i, repeat('x', 60)"
        " from generate_series(1, 120000) as i;"
        "create index event_old on event (id); create index event_kind on event (kind);"
        "alter table event owner to keeper",
        "vacuum analyze event",
    )
    trap = trial("select * from event where kind = 1 order by at limit 1", weight=2.0)
    helped = trial("select * from orders where customer = 7")
    wanted = [("by_at", Index("public.event", (Key("at"),))), ("mine", ON_CUSTOMER)]
    told: list[str] = []
    seen = measure(dsn, wanted, ["public.event_old"], [trap, helped], replace(QUICK, tell=told.append))
    assert [outcome.trial for outcome in seen.slower] == [trap]
    assert seen.withdrawn == ()
    options = replace(QUICK, most_slower=0.1, tell=told.append)
    mended = measure(
        dsn, wanted, ["public.event_old"], [trap, helped], options, replaced={"by_at": ["public.event_old"]}
    )
    assert [(each.name, each.fingerprint) for each in mended.withdrawn] == [("by_at", trap.fingerprint)]
    assert mended.withdrawn[0].ratio > 1.1
    assert mended.restored == ("public.event_old",)
    assert mended.slower == ()
    assert [outcome.trial for outcome in mended.outcomes if outcome.is_faster] == [helped]
    assert trap in mended.unchanged
    assert any(line.startswith("Withdrew by_at") for line in told)
    assert indexes_there(newest, database) == {"orders_pkey", "orders_note", "event_old", "event_kind"}


@pytest.mark.parametrize(("settled_ratio", "is_withdrawn"), [(1.3, True), (0.98, False)])
def test_what_a_few_runs_leave_in_doubt_is_run_again_more_often_before_an_index_is_blamed_for_it(
    newest: Cluster, database: str, monkeypatch: pytest.MonkeyPatch, settled_ratio: float, is_withdrawn: bool
) -> None:
    dsn = shop(newest, database)
    doubtful = trial("select * from orders where customer = 7")
    asked: list[int | None] = []

    def noisy(*arguments: Any, rounds: int | None = None, **more: Any) -> Outcome | Skipped:
        """The real runs, with times that a neighbour spoilt the first time."""
        found = alternate(*arguments, rounds=rounds, **more)
        assert isinstance(found, Outcome)
        asked.append(rounds)
        times = (1.4, 0.9, 1.5) if rounds is None else (settled_ratio,) * len(found.after.times_ms)
        return replace(
            found,
            before=replace(found.before, times_ms=(1.0,) * len(found.before.times_ms)),
            after=replace(found.after, times_ms=times),
        )

    monkeypatch.setattr("queryfit.advise.measure.measure.alternate", noisy)
    options = replace(QUICK, most_slower=0.1, doubt_rounds=9, most_rounds=9, quick_s=0)
    measured = measure(dsn, [("mine", ON_CUSTOMER)], [], [doubtful], options)
    assert asked == [None, 9]
    assert [each.name for each in measured.withdrawn] == (["mine"] if is_withdrawn else [])
    if is_withdrawn:
        assert measured.unchanged == (doubtful,)
    else:
        (outcome,) = measured.outcomes
        assert len(outcome.after.times_ms) == 9


def test_an_index_that_was_withdrawn_in_vain_is_taken_back(
    newest: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = shop(newest, database)
    by_number = Index("public.orders", (Key("(id % 7919)", is_column=False),))
    both = trial(
        "select (select count(*) from orders where customer = 7), (select count(*) from orders where id % 7919 = 3)"
    )
    told: list[str] = []

    def blaming(*arguments: Any, before: set[str], after: set[str], **more: Any) -> Outcome | Skipped:
        """The real runs, with times that only the second index makes long."""
        found = alternate(*arguments, before=before, after=after, **more)
        assert isinstance(found, Outcome)
        count = len(found.after.times_ms)
        return replace(
            found,
            before=replace(found.before, times_ms=(1.0,) * count),
            after=replace(found.after, times_ms=(1.5 if "number" not in after else 0.5,) * count),
        )

    monkeypatch.setattr("queryfit.advise.measure.measure.alternate", blaming)
    options = replace(QUICK, most_slower=0.1, tell=told.append)
    measured = measure(dsn, [("customer", ON_CUSTOMER), ("number", by_number)], [], [both], options)
    assert [line.partition(":")[0] for line in told if line.startswith(("Withdrew", "Took"))] == [
        "Withdrew customer",
        "Withdrew number",
        "Took customer back",
    ]
    assert [each.name for each in measured.withdrawn] == ["number"]
    (outcome,) = measured.outcomes
    assert outcome.is_faster
    assert outcome.after.indexes == {"customer"}
