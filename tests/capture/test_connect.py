"""The one connection: what it refuses to do, what it leaves behind (nothing), and how it says what went wrong."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from queryfit.capture.connect import QueryError, ServerGoneError, connect
from queryfit.errors import QueryfitError
from tests.capture.taking import ROLES
from tests.servers import PgBouncer

if TYPE_CHECKING:
    from tests.servers import Cluster


def test_query_returns_rows_as_dictionaries(newest: Cluster) -> None:
    with connect(newest.dsn()) as reader:
        assert reader.query("select $1::text as a, 2 as b", ["it's"]) == [{"a": "it's", "b": 2}]
        assert reader.database == "postgres"
        assert reader.version_number // 10000 == newest.version
        assert (reader.queries, reader.server_ms > 0) == (4, True)


@pytest.mark.parametrize("statement", ["select 1; select 2", "select 1; drop table if exists x", "begin; select 1"])
def test_two_statements_in_one_text_are_refused(newest: Cluster, statement: str) -> None:
    with connect(newest.dsn()) as reader:
        with pytest.raises(QueryError, match="cannot insert multiple commands"):
            reader.query(statement)
        with pytest.raises(QueryError, match="cannot insert multiple commands"), reader.transaction() as transaction:
            transaction.execute(statement)
        with pytest.raises(QueryError, match="cannot insert multiple commands"):
            list(reader.stream(statement))


def test_nothing_can_be_written(newest: Cluster) -> None:
    with connect(newest.dsn()) as reader, pytest.raises(QueryError, match="read-only transaction") as caught:
        reader.query("create table written ()")
    assert caught.value.sqlstate == "25006"


def test_a_query_that_fails_leaves_the_connection_usable(newest: Cluster) -> None:
    with connect(newest.dsn()) as reader:
        with pytest.raises(QueryError, match='relation "nope" does not exist'):
            reader.query("select * from nope")
        with pytest.raises(QueryError, match="statement timeout") as caught:
            reader.query("select pg_sleep(10)", timeout_ms=20)
        assert caught.value.is_timeout
        assert reader.query("select 1 as one") == [{"one": 1}]


def test_a_stream_may_be_left_early(newest: Cluster) -> None:
    with connect(newest.dsn()) as reader:
        for rows in reader.stream("select generate_series(1, 100000000) as n"):
            assert rows[0] == {"n": 1}
            break
        sizes = [len(rows) for rows in reader.stream("select generate_series(1, 5001) as n")]
        assert sizes == [5000, 1]


def test_a_stream_that_fails_half_way_says_so(newest: Cluster) -> None:
    with connect(newest.dsn()) as reader, pytest.raises(QueryError, match="division by zero"):
        list(reader.stream("select 1 / (9000 - n) as x from generate_series(1, 20000) as n"))


def test_user_objects_do_not_shadow_the_catalog(newest: Cluster, database: str) -> None:
    newest.run(
        """
        create function public.lower(text) returns text language sql as $$ select 'mine' $$;
        create table public.pg_class (relname text);
        """,
        database=database,
    )
    newest.run(f'alter database "{database}" set search_path = public, pg_catalog')
    with connect(newest.dsn(database)) as reader:
        assert reader.query("select lower('A'::text) as a, count(*) > 100 as is_real from pg_class") == [
            {"a": "a", "is_real": True}
        ]


def test_texts_do_not_depend_on_the_settings_of_the_role(newest: Cluster, database: str) -> None:
    newest.run(f"alter database \"{database}\" set datestyle = 'German'")
    newest.run(f'alter database "{database}" set standard_conforming_strings = off')
    with connect(newest.dsn(database)) as reader:
        assert reader.query(r"select date '2026-01-31'::text as d, 'a\b' as s") == [{"d": "2026-01-31", "s": r"a\b"}]


def test_no_setting_survives_a_query(newest: Cluster) -> None:
    with connect(newest.dsn()) as reader:
        before = reader.connection.execute("select name, setting from pg_settings").fetchall()
        reader.query("select 1")
        with reader.transaction(search_path='"$user"') as transaction:
            transaction.set_local({"plan_cache_mode": "force_generic_plan"})
        list(reader.stream("select 1"))
        with contextlib.suppress(QueryError):
            reader.query("select 1 / 0")
        assert reader.connection.execute("select name, setting from pg_settings").fetchall() == before


def test_a_database_without_an_encoding_is_read_all_the_same(newest: Cluster) -> None:
    newest.run("create database raw encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'")
    try:
        with connect(newest.dsn("raw")) as reader:
            assert reader.query(r"select convert_from('\xe4'::bytea, 'SQL_ASCII') as a, 'ä'::name as b") == [
                {"a": r"\xe4", "b": "ä"}
            ]
    finally:
        newest.drop_database("raw")


def test_the_application_name_is_ours_unless_the_person_sets_one(
    newest: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "select current_setting('application_name') as name"
    with connect(newest.dsn()) as reader:
        assert reader.query(query) == [{"name": "queryfit"}]
    with connect(newest.dsn(application_name="night shift")) as reader:
        assert reader.query(query) == [{"name": "night shift"}]
    monkeypatch.setenv("PGAPPNAME", "from the environment")
    with connect(newest.dsn()) as reader:
        assert reader.query(query) == [{"name": "from the environment"}]


def test_the_environment_alone_is_enough(newest: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", str(newest.socket_dir))
    monkeypatch.setenv("PGDATABASE", "template1")
    monkeypatch.setenv("PGUSER", "postgres")
    with connect(None) as reader:
        assert reader.database == "template1"


@pytest.mark.parametrize(
    ("dsn", "message", "hint"),
    [
        ("host=/nonexistent", "no server answers there", "is the server running"),
        ("host=127.0.0.1 port=1", "no server answers there", "check host and port"),
        ("host=nowhere.invalid", "the host name cannot be resolved", "check the host"),
        ("service=unheard_of", "the service is not defined", "pg_service.conf"),
        ("postgresql", "neither a PostgreSQL URI nor a conninfo string", "percent-encode"),
        ("postgresql://u:p@ss@127.0.0.1:1/x", "holds characters that end it early", "%40"),
        ("postgresql://u:p/ss@127.0.0.1:1/x", "holds characters that end it early", "%2F"),
    ],
)
def test_what_stands_in_the_way_is_told_in_one_line(dsn: str, message: str, hint: str) -> None:
    with pytest.raises(QueryfitError, match=message) as caught:
        connect(dsn)
    assert hint in (caught.value.hint or "")
    assert "\n" not in caught.value.message
    assert "ss@" not in caught.value.message


@pytest.mark.parametrize(
    ("dsn", "message"),
    [
        ({"user": "stranger"}, 'there is no role "stranger"'),
        ({"database": "nowhere"}, 'there is no database "nowhere"'),
        ({"database": 'na"me\n\x1b[31m'}, r'there is no database "na"me \\x1b\[31m"'),
    ],
)
def test_a_refusal_names_what_is_wrong(newest: Cluster, dsn: dict[str, str], message: str) -> None:
    with pytest.raises(QueryfitError, match=message) as caught:
        connect(newest.dsn(**dsn))
    assert caught.value.message.isprintable()


def test_a_password_is_never_repeated(newest: Cluster) -> None:
    with pytest.raises(QueryfitError) as caught:
        connect(newest.dsn(user="stranger", password="s3cret"))
    assert "s3cret" not in f"{caught.value.message}{caught.value.hint}"
    with pytest.raises(QueryfitError) as caught:
        connect("postgresql://u:s3cret@[::1/x")
    assert "s3cret" not in f"{caught.value.message}{caught.value.hint}"


def test_the_limit_that_is_used_up_is_named(newest: Cluster, database: str) -> None:
    newest.run("drop role if exists crowded; create role crowded login connection limit 1")
    with connect(newest.dsn(user="crowded")), pytest.raises(QueryfitError, match="connection limit") as caught:
        connect(newest.dsn(user="crowded"))
    assert 'the role "crowded"' in caught.value.message
    assert 'alter role "crowded" connection limit' in (caught.value.hint or "")
    newest.run(ROLES)
    newest.run(f'alter database "{database}" connection limit 0')
    with pytest.raises(QueryfitError, match=f'the database "{database}" has used up its connection limit'):
        connect(newest.dsn(database, user="plain"))


def test_a_pooler_that_is_full_is_told_from_a_server_that_is(newest: Cluster) -> None:
    if PgBouncer.executable() is None:
        pytest.skip("pgbouncer is not installed")
    newest.run(ROLES)
    with (
        PgBouncer(newest, settings={"max_client_conn": "1"}) as pooler,
        connect(pooler.dsn(user="plain")),
        pytest.raises(QueryfitError, match="the pooler refuses clients"),
    ):
        connect(pooler.dsn(user="plain"))


def test_a_session_that_is_ended_is_a_server_gone(newest: Cluster) -> None:
    with connect(newest.dsn()) as reader:
        pid = reader.query("select pg_backend_pid() as pid")[0]["pid"]
        newest.run(f"select pg_terminate_backend({pid})")
        with pytest.raises(ServerGoneError, match="went away") as caught:
            reader.query("select 1")
        assert caught.value.message.isprintable()
        with pytest.raises(ServerGoneError):
            reader.query("select 1")


def test_a_pooler_that_takes_no_transactions_is_told(newest: Cluster) -> None:
    if PgBouncer.executable() is None:
        pytest.skip("pgbouncer is not installed")
    with PgBouncer(newest, "statement") as pooler:
        with connect(pooler.dsn()) as reader, pytest.raises(QueryfitError) as caught:
            reader.query("select 1")
        assert "connect to the server itself" in (caught.value.hint or "")
        with connect(pooler.dsn("pgbouncer")) as reader, pytest.raises(QueryfitError) as caught:
            reader.query("select 1")
        assert "PgBouncer's own console" in (caught.value.hint or "")
