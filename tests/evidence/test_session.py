"""Whatever a stranger's statement asks for, it reads evidence and nothing else, and the session answers afterwards."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import tables
from queryfit.evidence.session import ROW_LIMIT, Session, empty_session, example_session, open_session
from queryfit.evidence.store import Store

TEXT = "insert into statement_text values ('a', 'select 1', 'select', false, null)"


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with example_session(TEXT) as made:
        yield made


def answers(session: Session) -> bool:
    return session.query("select text from statement_text").rows == (("select 1",),)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("copy statement_text to '{out}'", "COPY"),
        ("copy (select 1) to '{out}'", "COPY"),
        ("copy statement_text from '{file}'", "COPY"),
        ("attach '{out}'", "ATTACH"),
        ("detach memory", "DETACH"),
        ("use memory", "SET"),
        ("set threads = 1", "SET"),
        ("set enable_external_access = true", "SET"),
        ("reset lock_configuration", "SET"),
        ("set variable x = 1", "SET"),
        ("pragma database_list", "PRAGMA"),
        ("pragma enable_profiling", "PRAGMA"),
        ("install httpfs", "LOAD"),
        ("load httpfs", "LOAD"),
        ("call pragma_version()", "CALL"),
        ("insert into statement_text select * from statement_text", "INSERT"),
        ("update statement_text set text = ''", "UPDATE"),
        ("delete from statement_text", "DELETE"),
        ("create temp table x as select 1", "CREATE"),
        ("create macro f() as 1", "CREATE"),
        ("drop table statement_text", "DROP"),
        ("alter table statement_text rename to x", "ALTER"),
        ("prepare x as select 1", "PREPARE"),
        ("execute x", "EXECUTE"),
        ("explain analyze select 1", "EXPLAIN"),
        ("export database '{out}'", "EXPORT"),
        ("begin", "TRANSACTION"),
        ("commit", "TRANSACTION"),
        ("vacuum", "VACUUM"),
        ("pivot statement_text on kind", "MULTI"),
        ("select 1; select 2", "2 statements"),
        ("select 1; copy statement_text to '{out}'", "2 statements"),
        ("", "0 statements"),
        ("-- nothing", "0 statements"),
    ],
)
def test_only_one_select_is_accepted(session: Session, tmp_path: Path, statement: str, kind: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(QueryfitError, match=f"expected one SELECT, found {kind}"):
        session.query(statement.format(out=out, file=__file__))
    assert not out.exists()
    assert answers(session)


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('{file}')",
        "select * from read_json('{file}')",
        "select * from read_parquet('{parquet}')",
        "select * from '{parquet}'",
        "select * from parquet_metadata('{parquet}')",
        "select * from read_text('{file}')",
        "select * from read_blob('{file}')",
        "select * from glob('{folder}/*')",
        "select * from sniff_csv('{file}')",
        "select * from duckdb_extensions()",
        "select * from read_text('https://example.org/')",
        "select * from query('copy statement_text to ''{folder}/out''')",
        "select * from enable_logging()",
        "with made as (insert into statement_text values ('b', '', '', false, null) returning *) select * from made",
        "with gone as (delete from statement_text returning *) select * from gone",
    ],
)
def test_no_file_is_read_and_nothing_is_written(session: Session, tmp_path: Path, query: str) -> None:
    file, parquet = tmp_path / "secret.csv", tmp_path / "secret.parquet"
    file.write_text("secret\n1\n")
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as secret) to '{parquet}' (format parquet)")
    with pytest.raises(QueryfitError):
        session.query(query.format(file=file, parquet=parquet, folder=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv", "secret.parquet"]
    assert answers(session)


def test_the_store_itself_cannot_be_read(tmp_path: Path) -> None:
    with Store(tmp_path).write("full") as writer:
        writer.meta.update(system_identifier="1", captured_at="2026-01-01")
        writer.add("statement_text", [{"fingerprint": "a", "text": "x", "kind": "select", "is_truncated": False}])
    assert writer.committed
    with open_session(writer.committed) as session:
        assert session.query("select text from statement_text").rows == (("x",),)
        with pytest.raises(QueryfitError, match="disabled"):
            session.query(f"select * from '{writer.committed.folder}/statement_text.parquet'")


def test_a_variable_of_the_program_is_no_table(session: Session) -> None:
    rows = {"a": [1]}
    with pytest.raises(QueryfitError, match="rows does not exist"):
        session.query("select * from rows")
    assert rows


@pytest.mark.parametrize(
    "query",
    [
        "with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r",
        "select count(*) from range(1000000) as a, range(1000000) as b where a.range + b.range = 7",
    ],
)
def test_what_does_not_end_is_stopped(session: Session, query: str) -> None:
    with pytest.raises(QueryfitError, match="stopped after 1 s") as caught:
        session.query(query, time_limit_s=1)
    assert caught.value.hint
    assert answers(session)


def test_too_many_rows_are_refused(session: Session) -> None:
    assert len(session.query(f"select * from range({ROW_LIMIT})").rows) == ROW_LIMIT
    with pytest.raises(QueryfitError, match="more than 200,000 rows"):
        session.query(f"select * from range({ROW_LIMIT + 1})")
    with pytest.raises(QueryfitError, match="more than 200,000 rows"):
        session.query("select * from range(100000000000)")
    assert answers(session)


def test_what_wants_too_much_memory_is_stopped() -> None:
    """In a process of its own: if the limit fails, the test's is not the one that the system kills."""
    script = """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        from queryfit.errors import QueryfitError
        from queryfit.evidence.session import example_session
        with example_session("") as session:
            for query in (
                "select list(n) from range(1000000000) as t (n)",
                "select repeat('x', 1000000000) from range(10)",
                "select sum(length(repeat('x', (100000000 + n)::bigint))) from range(1000) as t (n)",
                "select repeat('x', 10000000) from range(1000)",
                "select string_agg(repeat('x', 1000000)) from range(5000)",
            ):
                try:
                    session.query(query)
                    print("ran", query)
                except QueryfitError as error:
                    assert chr(10) not in error.message
                    print("refused")
            print(session.query("select 1").rows)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2_600_000, "kB"
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.split("\n")[:-1] == ["refused"] * 5 + ["((1,),)"], done.stderr


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize("form", ["select {open}1{close}", "select {chain}1"])
def test_a_statement_that_is_too_deep_is_an_error(session: Session, depth: int, form: str) -> None:
    with pytest.raises(QueryfitError):
        session.query(form.format(open="(" * depth, close=")" * depth, chain="1 + " * depth))
    assert answers(session)


def test_a_failing_statement_is_told_in_one_line(session: Session) -> None:
    with pytest.raises(QueryfitError) as caught:
        session.query("select nothing\nfrom statement_text")
    assert "nothing" in caught.value.message
    assert "\n" not in caught.value.message


def test_parameters_are_bound(session: Session) -> None:
    result = session.query("select text from statement_text where text = $wanted", {"wanted": "'; drop table x"})
    assert result.rows == ()


def test_decimals_come_as_floats(session: Session) -> None:
    result = session.query("select sum(3::bigint) * 0.5 as half, null::decimal(9, 2), 7::hugeint as whole")
    assert result.rows == ((1.5, None, 7),)
    assert list(map(type, result.rows[0])) == [float, type(None), int]


def test_an_empty_session_has_the_named_tables_and_no_others() -> None:
    with empty_session(["relation", "workload"]) as session:
        assert session.query("select * from workload").rows == ()
        assert len(session.query("select * from relation").columns) == len(tables()["relation"].columns)
        with pytest.raises(QueryfitError, match="setting does not exist"):
            session.query("select * from setting")


@pytest.mark.parametrize(
    "inserts",
    [
        "insert into statement_text select content, '', '', false, null from read_text('{file}')",
        "insert into statement_text select * from '{file}'",
        "copy statement_text to '{out}'",
        "attach '{out}'",
        "insert into statement_text values ('a', '', '', false, null); install httpfs",
        "insert into nowhere values (1)",
        "insert into",
    ],
)
def test_an_example_can_only_insert(tmp_path: Path, inserts: str) -> None:
    """The examples of a rule from a stranger run when the rule is checked: they see no more than the rule does."""
    file, out = tmp_path / "file.csv", tmp_path / "out"
    file.write_text("a,b,c,d,e\nx,y,z,false,\n")
    with pytest.raises(QueryfitError):
        example_session(inserts.format(file=file, out=out))
    assert not out.exists()


def test_an_example_has_a_server_and_a_window_of_seven_days() -> None:
    inserts = """
        insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('f', 7, 14, 700, 100);
        insert into statement_text (fingerprint, text, kind) values ('f', 'select 1', 'select');
    """
    with example_session(inserts) as session:
        assert session.query(
            "select database, calls_per_day, execution_ms_per_day, rows_per_call, window_s from workload"
        ).rows == (("app", 1.0, 100.0, 2.0, 7 * 86400.0),)


def test_derived_tables_see_each_other() -> None:
    """relation_use is made from workload, which comes after it in the alphabet."""
    inserts = """
        insert into relation (relation, root, kind) values ('public.a', 'public.a', 'table');
        insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('f', 7, 14, 700, 100);
        insert into statement_text (fingerprint, text, kind) values ('f', 'select id from a', 'select');
        insert into reference (fingerprint, relation, column_name, role) values ('f', 'public.a', 'id', 'select');
    """
    with example_session(inserts) as session:
        assert session.query("select relation, statements, execution_ms_per_day from relation_use").rows == (
            ("public.a", 1, 100.0),
        )


def test_a_time_with_a_zone_is_refused_with_a_hint() -> None:
    with example_session("") as session, pytest.raises(QueryfitError, match="timestamp with time zone") as refused:
        session.query("select now() as now")
    assert refused.value.hint == "cast it, as in now()::timestamp"
