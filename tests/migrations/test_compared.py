"""A trace beside the model: order, groups, what is proven, and what is only told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from queryfit.errors import QueryfitError
from queryfit.lint import Settings, lint, measured
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.trace.compared import Comparison, compare
from queryfit.render import trace as rendered
from queryfit.render.look import Look
from tests.servers import Cluster, available

BASE = "create table orders (id bigint primary key, note text);\n"


@pytest.fixture(params=[version for version in (15, 18) if version in available()])
def dsn(request: pytest.FixtureRequest, cluster_of: Callable[[int], Cluster]) -> Iterator[str]:
    """An empty database of an ordinary role."""
    cluster = cluster_of(request.param)
    if not cluster.run("select from pg_roles where rolname = 'comparer'"):
        cluster.run("create role comparer login")
    cluster.create_database("compared")
    cluster.run("drop extension pg_stat_statements", database="compared")
    cluster.run("alter database compared owner to comparer; alter schema public owner to comparer", database="compared")
    yield cluster.dsn("compared", "comparer")
    cluster.drop_database("compared")


def file(name: str, text: str, *, is_linted: bool = True, group: int = 0) -> MigrationFile:
    return MigrationFile(None, name, text, text, "psql", "each", group, is_linted)


def test_only_linted_files_are_told_and_all_run_in_order(dsn: str) -> None:
    files = [
        file("1.sql", BASE, is_linted=False),
        file("2.sql", "create index orders_note on orders (note);\n"),
        file("3.sql", "alter table orders add column state text;\n", is_linted=False),
        file("4.sql", "-- two\nupdate orders set state = 'new';\n"),
    ]
    comparison = compare(files, dsn=dsn)
    assert [(one.file, one.observed.line) for one in comparison.statements] == [("2.sql", 1), ("4.sql", 2)]
    assert [one.disagreements for one in comparison.statements] == [[], []]
    assert not any(one.is_failed for one in comparison.statements)
    assert comparison.notes == []


def test_a_finding_that_was_seen_is_measured(dsn: str) -> None:
    files = [
        file("1.sql", BASE, is_linted=False),
        file("2.sql", "create index orders_note on orders (note);\nalter table orders rename note to words;\n"),
    ]
    comparison = compare(files, dsn=dsn)
    linted = lint(files, Settings(version=comparison.version))
    proofs = {finding.rule: finding.proof for finding in measured(linted, comparison.confirms).findings}
    assert proofs["index-not-concurrent"] == "measured"


def test_what_the_history_does_not_make_is_no_disagreement(dsn: str) -> None:
    comparison = compare([file("1.sql", "alter table nobody add column a int;\n")], dsn=dsn)
    [one] = comparison.statements
    assert one.is_failed
    assert one.disagreements == []


def test_what_did_not_run_is_said(dsn: str) -> None:
    comparison = compare([file("1.sql", f"{BASE}select 1 / 0;\ndrop table orders;\n")], dsn=dsn)
    text = rendered.render(comparison, Look(80, has_colour=False))
    assert "failed: division by zero" in text
    assert "not run: a statement before it failed" in text
    assert "3 statements · 1 failed" in text
    assert [one["is_run"] for one in rendered.document(comparison)["statements"]] == [True, True, False]


def test_a_history_that_fails_is_a_note(dsn: str) -> None:
    history = file("1.sql", f"{BASE}create table orders (id int);\n", is_linted=False)
    comparison = compare([history, file("2.sql", "select 1;\n")], dsn=dsn)
    assert comparison.notes == ['1.sql: an earlier migration did not run: relation "orders" already exists']


def test_one_database_takes_one_folder() -> None:
    with pytest.raises(QueryfitError, match="2 folders"):
        compare([file("a/1.sql", BASE), file("b/1.sql", BASE, group=1)], dsn="host=/nowhere")


def test_each_folder_has_a_database_of_its_own_on_the_embedded_server() -> None:
    comparison = compare([file("a/1.sql", BASE), file("b/1.sql", BASE, group=1)])
    assert [(one.file, one.is_failed) for one in comparison.statements] == [("a/1.sql", False), ("b/1.sql", False)]


def test_names_from_files_do_not_steer_the_terminal(dsn: str) -> None:
    comparison = compare([file("\x1b[2J.sql", 'create table "\x1b]0;x" (id int);\n::error::x;\n')], dsn=dsn)
    text = rendered.render(comparison, Look(60, has_colour=False))
    assert "\x1b[2J" not in text
    assert "\x1b]" not in text
    assert max(map(len, text.splitlines())) <= 60


def test_nothing_to_run() -> None:
    assert (
        rendered.render(Comparison(18, [], []), Look(80, has_colour=False))
        == "Trace on PostgreSQL 18: no statement ran."
    )


def test_what_refuses_a_transaction_runs_alone_in_a_pipeline(dsn: str) -> None:
    text = (
        f"{BASE}insert into orders values (1, 'a');\ncreate index concurrently orders_note on orders (note);\n"
        "set local lock_timeout = '5s';\nalter table orders add constraint a check (id > 0) not valid;\n"
        "alter table orders validate constraint a;\n"
    )
    one = replace(file("1.sql", text), runner="supabase", transactions="pipeline")
    comparison = compare([one], dsn=dsn)
    assert [(traced.observed.is_in_block, traced.is_failed) for traced in comparison.statements] == [
        (True, False), (True, False), (False, False), (True, False), (True, False), (True, False),
    ]  # fmt: skip
    assert comparison.statements[2].observed.built == {"public.orders_note": "public.orders"}
    assert comparison.statements[5].observed.held == {"public.orders": 8}
