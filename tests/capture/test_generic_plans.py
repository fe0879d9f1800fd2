"""Generic plans on real servers: every kind of text, what is left behind, and what cannot be planned."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

from queryfit.capture.connect import connect
from queryfit.capture.generic_plans import NAME, Candidate, PlannedStatements, choose, plan_statements
from queryfit.capture.generic_text import preparable
from queryfit.capture.guard import Guard
from queryfit.evidence.dictionary import tables
from tests.servers import Cluster, PgBouncer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TABLES = """
    create table big as select i as id, i % 1000 as g, md5(i::text) as t, now() - i * interval '1 s' as at
        from generate_series(1, 5000) as i;
    create index on big (id);
    create schema tenant;
    create table tenant.small (id int, n text);
    analyze;
"""
TEXTS = (
    "select * from big where id = $1",
    "select * from big where now() - $1 > at",
    "select * from big where at > now() - $1",
    "select * from big where at > now() - interval $1 and at < now() - interval $2 day",
    "select * from big where at > $1 - interval $2 and at > localtimestamp + $3",
    "select timestamp with time zone $1, date $2, pg_catalog.inet $3, now() at time zone $4, time (3) $5",
    "select extract($1 from at), date_trunc($2, at), date_part($3, at) from big",
    "select $1 + $2", "select $1", "select $1::date + $2 limit $3", "select current_date - $1 > current_date",
    "select t from big where t like $1 || $2 and g = any($3) and id in ($4 /*, ... */)",
    "select count(*) from big where id between $1 and $2 order by 1 offset $3 limit $4",
    "select * from generate_series($1, $2)", "select * from generate_series($1::date, $2::date, $3)",
    "select jsonb_build_object($1, $2), concat($3, $4), format($5, $6)",
    "select round($1 / $2, $3), $4 * interval $5, make_interval(days => $6)",
    "select case when g = $1 then $2 else $3 end, coalesce($4, $5) from big group by 1",
    "insert into big (id, g) values ($1, $2)", "update big set g = g + $1, t = t || $2 where id = $3 returning *",
    "delete from big where id in (select id from big where t = $1)", "select * from big where id = $1 for update",
    "with x as (select * from big where g = $1) select * from x join big using (id) fetch first $2 rows only",
    "select 'a string with $1 in it', $1 -- and $2 in a comment",
)  # fmt: skip


def candidate(
    text: str,
    fingerprint: str = "f" * 16,
    *,
    path: tuple[str, ...] = ("public",),
    kind: str = "select",
    **weights: float,
) -> Candidate:
    return Candidate(
        fingerprint, text, kind, path, weights.get("ms", 1.0), int(weights.get("read", 0)), int(weights.get("temp", 0))
    )


def candidates(texts: Sequence[str]) -> list[Candidate]:
    return [candidate(text, f"{number:016}") for number, text in enumerate(texts)]


def planned(
    dsn: str, statements: Sequence[Candidate], *, limit: int = 100, budget_ms: float = 30_000
) -> PlannedStatements:
    with connect(dsn) as reader:
        result = plan_statements(reader, statements, Guard.build(reader), limit=limit, budget_ms=budget_ms)
        assert reader.query("select * from pg_prepared_statements") == []
    return result


@pytest.fixture
def filled(cluster: Cluster, database: str) -> str:
    cluster.run(TABLES, database=database)
    return database


@pytest.fixture
def plain(cluster: Cluster, filled: str) -> Iterator[str]:
    """A role that may read big and nothing else."""
    name = f"plain_{uuid.uuid4().hex[:8]}"
    cluster.run(f"create role {name} login; grant select on big to {name}", database=filled)
    yield name
    cluster.run(f"drop owned by {name}; drop role {name}", database=filled)


def test_every_kind_of_text_is_planned(cluster: Cluster, filled: str) -> None:
    result = planned(cluster.dsn(filled), candidates(TEXTS))
    assert [row["reason"] for row in result.unread] == []
    assert [row["fingerprint"] for row in result.plans] == [f"{number:016}" for number in range(len(TEXTS))]


def test_rows_fit_the_evidence_tables(cluster: Cluster, filled: str) -> None:
    result = planned(cluster.dsn(filled), candidates(["select * from big where id = $1", "select from nowhere"]))
    for table, rows in (("plan", result.plans), ("plan_node", result.nodes), ("unread", result.unread)):
        assert rows
        assert all(list(row) == [column.name for column in tables()[table].columns] for row in rows)
    assert {row["plan"] for row in result.nodes} == {row["plan"] for row in result.plans}


def test_a_plan_is_generic(cluster: Cluster, filled: str) -> None:
    """No constant is folded into it: neither a value nor the nulls that stand for the parameters."""
    result = planned(cluster.dsn(filled), [candidate("select * from big where id = $1")])
    (node,) = result.nodes
    assert (node["node_type"], node["relation"], node["condition"]) == ("Index Scan", "public.big", "(big.id = $1)")
    assert result.plans[0]["origin"] == "forced_generic"
    assert json.loads(result.plans[0]["document"])[0]["Plan"]["Node Type"] == "Index Scan"


def test_names_are_found_by_the_statements_own_path(cluster: Cluster, filled: str) -> None:
    texts = [
        candidate("select * from small", "1", path=("tenant", "public")),
        candidate("select * from small", "2", path=("public",)),
    ]
    result = planned(cluster.dsn(filled), texts)
    assert [(row["plan"], row["relation"]) for row in result.nodes] == [(f"1/{filled}/1", "tenant.small")]
    assert [(row["subject"], row["reason"]) for row in result.unread] == [
        ("fingerprint:2", "not planned on the live server: there is no relation small on its search path")
    ]


def test_one_that_cannot_be_planned_stops_no_other(cluster: Cluster, filled: str) -> None:
    texts = ["select nope from big", "select * from", "select 1; drop table big", "vacuum", "select nope()", "\x00 $1",
             "select $1 from big where id = any($2, $3)", "select * from big"]  # fmt: skip
    result = planned(cluster.dsn(filled), candidates(texts))
    assert [row["fingerprint"] for row in result.plans] == [f"{len(texts) - 1:016}"]
    assert len(result.unread) == len(texts) - 1
    assert all(row["reason"] and row["table_name"] == "plan" and row["database"] == filled for row in result.unread)


def test_a_role_without_privileges_is_told(cluster: Cluster, filled: str, plain: str) -> None:
    texts = ["select * from big where id = $1", "update big set g = $1"]
    result = planned(cluster.dsn(filled, plain), candidates(texts))
    assert len(result.plans) == 1
    assert "permission denied for table big" in result.unread[0]["reason"]
    assert "pg_read_all_data" in result.unread[0]["hint"]


def test_a_locked_relation_is_left_out(cluster: Cluster, filled: str) -> None:
    with cluster.connect(filled) as other, other.transaction():
        other.execute("lock table tenant.small in access exclusive mode")
        result = planned(
            cluster.dsn(filled), [candidate("select * from tenant.small", "1"), candidate("select * from big", "2")]
        )
    assert [row["fingerprint"] for row in result.plans] == ["2"]
    assert result.unread[0]["reason"] == "a relation that it reads is locked"


def test_limit_and_budget_leave_the_lighter_ones_out(cluster: Cluster, filled: str) -> None:
    statements = candidates(["select * from big"] * 5)
    limited = planned(cluster.dsn(filled), statements, limit=2)
    assert len(limited.plans) == 2
    assert [row["reason"] for row in limited.unread] == ["3 lighter statements were not planned: at most 2 are"]
    late = planned(cluster.dsn(filled), statements, budget_ms=0)
    assert late.plans == []
    assert [row["reason"] for row in late.unread] == ["5 lighter statements were not planned: the 0 s were used up"]


@pytest.mark.skipif(PgBouncer.executable() is None, reason="pgbouncer is not installed")
def test_behind_a_transaction_pooler_nothing_is_left(cluster: Cluster, filled: str) -> None:
    """All clients of this pooler share one backend, so the next one would meet whatever is left."""
    texts = [*TEXTS, "select nope from big", "select * from big where id = $1 and nope()"]
    with PgBouncer(cluster) as pooler:
        result = planned(pooler.dsn(filled), candidates(texts))
        assert len(result.plans) == len(TEXTS)
        with psycopg.connect(pooler.dsn(filled), autocommit=True) as other:
            assert other.execute("select name from pg_prepared_statements").fetchall() == []
            names = "'search_path', 'plan_cache_mode', 'statement_timeout', 'pg_stat_statements.track'"
            changed = other.execute(f"select name from pg_settings where name in ({names}) and setting <> reset_val")
            assert changed.fetchall() == []


def test_a_failing_explain_leaves_no_prepared_statement(cluster: Cluster, filled: str, plain: str) -> None:
    """PREPARE needs no privilege and succeeds, EXPLAIN fails, and a rollback would not deallocate."""
    with connect(cluster.dsn(filled, plain)) as reader:
        guard = Guard.build(reader)
        result = plan_statements(reader, [candidate("delete from big where id = $1")], guard)
        assert "permission denied" in result.unread[0]["reason"]
        assert reader.query("select * from pg_prepared_statements") == []


def test_another_clients_temporary_table_is_not_planned(cluster: Cluster, filled: str) -> None:
    """Behind a pooler a temporary table of the same name would be found first, with indexes that nobody has judged."""
    with connect(cluster.dsn(filled)) as reader:
        reader.connection.execute("create temporary table big (id int)")
        result = plan_statements(reader, [candidate("select * from big")], Guard.build(reader))
    assert [row["relation"] for row in result.nodes] == ["public.big"]


def test_explains_take_few_entries_of_pg_stat_statements(cluster: Cluster, filled: str, plain: str) -> None:
    """None where the role may switch tracking off, else one per number of parameters."""
    texts = [f"select * from big where id = $1 and g = {number}" for number in range(20)]
    for user, at_most in (("postgres", 0), (plain, 1)):
        cluster.run("select pg_stat_statements_reset()")
        assert len(planned(cluster.dsn(filled, user), candidates(texts)).plans) == 20
        entries = cluster.run("select query from pg_stat_statements where query ~* '^(explain|prepare)|from big'")
        assert len(entries) <= at_most, entries


def test_the_log_shows_no_more_than_it_may(cluster: Cluster, filled: str) -> None:
    cluster.run(f"alter database {filled} set log_statement = 'all'")
    start = len(cluster.log.read_text(errors="replace"))
    planned(cluster.dsn(filled), candidates(TEXTS))
    log = cluster.log.read_text(errors="replace")[start:]
    words = {word.lower() for word in re.findall(r"execute <unnamed>: \s*(\w+)", log)}
    assert "statement: " not in log  # the simple protocol
    assert words <= {
        "select",
        "begin",
        "commit",
        "rollback",
        "savepoint",
        "release",
        "prepare",
        "explain",
        "deallocate",
    }
    assert {"prepare", "explain", "deallocate"} <= words


def test_a_standby_plans_reads_and_writes(newest: Cluster, database: str) -> None:
    newest.run(TABLES, database=database)
    standby = newest.standby()
    newest.wait_for_standby()
    texts = ["select * from big where id = $1", "delete from big", "select * from big where id = $1 for update"]
    assert len(planned(standby.dsn(database), candidates(texts)).plans) == len(texts)


def test_those_that_matter_are_chosen() -> None:
    texts = [
        candidate("select 1", "slow", ms=1000), candidate("select 2", "slower", ms=500),
        candidate("select 3", "slower", ms=600), candidate("select 4", "reads", ms=1, read=9999),
        candidate("select 5", "spills", ms=1, temp=9), candidate("select 6", "idle", ms=0),
        candidate("commit", "commit", ms=5000, kind="transaction"), candidate("select 7", "light", ms=2),
    ]  # fmt: skip
    assert [one.fingerprint for one in choose(texts, 3)] == ["slower", "reads", "spills"]
    assert [one.fingerprint for one in choose(texts)] == ["slower", "reads", "spills", "slow", "light"]
    assert choose(texts)[0].text == "select 3"  # of its heaviest run
    assert choose(texts)[0].execution_ms == 1100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select interval $1", "select cast($1 as interval)"),
        ("select interval $1 day to second", "select cast($1 as interval day to second)"),
        ("select interval (3) $1", "select cast($1 as interval (3))"),
        ("select timestamp(3) with time zone $1", "select cast($1 as timestamp(3) with time zone)"),
        ("select now() at time zone $1", "select now() at time zone $1"),
        ('select "é", s.kind $1', 'select "é", cast($1 as s.kind)'),
        ("select extract($1 from a)", 'select pg_catalog."extract"(cast($1 as text), a)'),
        ("select 'interval $1', $1 /* date $2 */", "select 'interval $1', $1 /* date $2 */"),
        ("select a from t limit $1 offset $2", "select a from t limit $1 offset $2"),
    ],
)
def test_constants_become_casts(text: str, expected: str) -> None:
    assert preparable(text, 180000) == expected


def test_the_prepared_statement_has_a_name_of_its_own() -> None:
    assert NAME.startswith("queryfit_")
