"""What the audited server sees of a capture: reads in short transactions, and nothing left behind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.rows import dict_row

from queryfit.capture.server import CaptureOptions
from tests.capture.taking import take
from tests.servers import PgBouncer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Cluster

ALLOWED = re.compile(
    r"select|with|show|begin read only|commit|rollback|savepoint|release savepoint|set local|prepare|deallocate"
    r"|explain(?! \([^)]*analyze)(?! analyze)",
    re.IGNORECASE,
)
LOGGED = re.compile(r"LOG:  (statement|execute \S+): (.*?)(?=\n\d{4}-\d\d-\d\d |\Z)", re.DOTALL)


@pytest.fixture
def busy_shop(cluster: Cluster, shop: str) -> str:
    """A shop with statements of every kind to understand and to plan."""
    for statement in (
        "select * from customer where email = 'x' and score > 3",
        "update customer set score = 1 where id = -1",
        "delete from typed where a = 1",
        "select * from adult where id = 1",
        "with old as (select * from event where at < now()) select count(*) from old",
        'select 1 as "a/*b" -- a comment at the end',
    ):
        cluster.run(statement, database=shop)
    return shop


def statements_logged(cluster: Cluster, since: int) -> list[tuple[str, str]]:
    """(protocol, text) of what was logged from an offset on."""
    with cluster.log.open("rb") as log:
        log.seek(since)
        return LOGGED.findall(log.read().decode("utf-8", "replace"))


@pytest.mark.parametrize("role", ["fit", "inspector"])
def test_the_servers_log_shows_reads_only(cluster: Cluster, busy_shop: str, tmp_path: Path, role: str) -> None:
    cluster.run("drop role if exists inspector; create role inspector superuser login")
    cluster.run("alter role fit set log_statement = 'all'; alter role inspector set log_statement = 'all'")
    since = cluster.log.stat().st_size
    taken = take(cluster.dsn(busy_shop, user=role), tmp_path, CaptureOptions(watch_s=0.2, watch_every_s=0.1))
    cluster.run("alter role fit reset log_statement; drop role inspector")
    logged = [entry for entry in statements_logged(cluster, since) if "inspector" not in entry[1]]
    assert len(logged) == taken.cost.queries
    for protocol, text in logged:
        assert protocol.startswith("execute"), f"not the extended protocol: {text}"
        assert ALLOWED.match(text.strip()), text
        assert ";" not in text.replace("; ", ""), text
    assert sum("explain" in text for _, text in logged) >= 3
    assert taken.value("select count(*) from plan") >= 3


def test_every_transaction_is_read_only_short_and_ended(newest: Cluster, newest_shop: str, tmp_path: Path) -> None:
    newest.run("select * from customer where email = 'x'", database=newest_shop)
    newest.run("alter role fit set log_statement = 'all'")
    since = newest.log.stat().st_size
    take(newest.dsn(newest_shop, user="fit"), tmp_path)
    newest.run("alter role fit reset log_statement")
    is_open = False
    for _, text in statements_logged(newest, since):
        word = text.split()[0]
        assert (word == "begin") != is_open, text
        is_open = word not in {"commit", "rollback"} or text.startswith("rollback to")
        if is_open and "explain" not in text:
            assert not re.search(r"set_config\([^)]*, *false\)", text)
    assert not is_open


def test_behind_a_pooler_the_next_client_finds_nothing_changed(
    cluster: Cluster, busy_shop: str, tmp_path: Path
) -> None:
    if PgBouncer.executable() is None:
        pytest.skip("pgbouncer is not installed")
    everything = "select name, setting from pg_settings where name not like 'transaction%' order by name"
    with PgBouncer(cluster) as pooler:

        def look() -> tuple[dict[str, str], int, int]:
            with psycopg.connect(
                pooler.dsn(busy_shop, user="fit"), autocommit=True, row_factory=dict_row, prepare_threshold=None
            ) as other:
                rows = other.execute(everything.encode()).fetchall()
                settings = {row["name"]: row["setting"] for row in rows}
                prepared = other.execute("select count(*) as n from pg_prepared_statements").fetchall()[0]["n"]
                pid = other.execute("select pg_backend_pid() as pid").fetchall()[0]["pid"]
                return settings, prepared, pid

        before = look()
        taken = take(pooler.dsn(busy_shop, user="fit"), tmp_path)
        after = look()
    assert taken.value("select count(*) from plan") >= 3
    assert after == before  # the same backend too: the pool holds one
    assert after[1] == 0


def test_a_text_that_is_two_statements_to_the_server_never_runs(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    cluster.run("create table witness (what text)", database=shop)
    cluster.run(f'alter database "{shop}" set standard_conforming_strings = off')
    cluster.run(f'alter database "{shop}" set escape_string_warning = off')
    # one statement with standard_conforming_strings = on, two without it
    trap = r"select 'a\' as x from customer where email = '; insert into witness values (''ran''); --'"
    with cluster.connect(shop) as arranging:
        arranging.execute("set standard_conforming_strings = on")
        arranging.execute(trap.encode(), prepare=False)
    take(cluster.dsn(shop), tmp_path)
    assert cluster.run("select * from witness", database=shop) == []


def test_hostile_texts_and_names_are_evidence_like_others(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    names = ["\x1b[31mred", "::error::x", "<script>alert(1)</script>", "%s %(x)s $1", "new\nline", "=1+1", "ünï"]
    for name in names:
        cluster.run(f'create table "{name}" ("{name}" int); select * from "{name}"', database=shop)
    cluster.run("select id /* " + "x" * 200_000 + " */ from customer", database=shop)
    with cluster.connect(shop) as session:
        session.execute("set application_name = '\x1b]0;evil\x07 = 1; drop'")
        taken = take(cluster.dsn(shop), tmp_path)
    kept = {row["text"] for row in taken.rows("select text from statement_text")}
    assert {f'select * from "{name}"' for name in names} <= kept
    assert any(len(text) > 200_000 for text in kept)
    assert set(names) <= {row["name"] for row in taken.rows("select name from relation")}
    assert set(names) <= {row["column_name"] for row in taken.rows("select column_name from relation_column")}
