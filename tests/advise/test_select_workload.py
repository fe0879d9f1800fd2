"""Workloads: names and weights in files of SQL, times and paths in captures, and nothing lost without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from queryfit.advise.workload import workload_of_file, workload_of_session, workload_of_text
from queryfit.errors import QueryfitError
from queryfit.evidence.session import example_session
from queryfit.lab.planner import Query
from tests.advise.select_rig import STATEMENTS, RealPlanner, made
from tests.conftest import VERSIONS
from tests.servers import Cluster

FILE = """
-- name: newest orders
-- weight: 3.5
select * from orders /* ; */ where note = ';' order by day;

select 1; -- weight: 2
-- a remark that says nothing
select $1::int
"""


class TestTexts:
    def test_comments_name_and_weigh_the_statement_behind_them(self) -> None:
        found = workload_of_text(FILE).statements
        assert [(one.fingerprint, one.weight) for one in found] == [("newest orders", 3.5), ("q02", 1.0), ("q03", 2.0)]
        assert found[0].text == "select * from orders /* ; */ where note = ';' order by day"
        assert found[2].queries == (Query("q03", "select $1::int"),)

    def test_what_cannot_be_planned_is_skipped_with_the_reason(self) -> None:
        text = "select 1; select from from x; create table t (); -- name: cut\nselect 'oops"
        found = workload_of_text(text)
        assert [one.fingerprint for one in found.statements] == ["q01"]
        assert [one.fingerprint for one in found.skipped] == ["q02", "q03", "cut"]
        assert "syntax error" in found.skipped[0].reason
        assert "not a statement that is planned" in found.skipped[1].reason
        assert "unterminated" in found.skipped[2].reason

    @pytest.mark.parametrize("mark", ["?", ":id", "%s", "%(id)s", "{id}"])
    def test_a_placeholder_of_a_driver_is_told_from_a_mistake(self, mark: str) -> None:
        (skipped,) = workload_of_text(f"select '?', a::text from t where id = {mark} and note = ':x'").skipped
        assert skipped.hint == f"{mark} is a driver's placeholder: write $1, $2 … for what is not known"
        (other,) = workload_of_text("select a::text from where note = '?' -- :x").skipped
        assert other.hint is None

    def test_what_follows_an_open_parenthesis_is_not_lost(self) -> None:
        found = workload_of_text("select 1;\nselect broken(;\n-- weight: 7\nselect 2")
        assert [(one.fingerprint, one.weight) for one in found.statements] == [("q01", 1.0), ("q03", 7.0)]
        assert [one.fingerprint for one in found.skipped] == ["q02"]

    def test_names_are_told_apart(self) -> None:
        found = workload_of_text("-- name: a\nselect 1; -- name: a\nselect 2").statements
        assert [one.fingerprint for one in found] == ["a", "a_2"]

    @pytest.mark.parametrize("weight", ["often", "-1", "nan", "inf", ""])
    def test_a_weight_that_is_no_number_is_refused(self, weight: str) -> None:
        with pytest.raises(QueryfitError, match=r"the weight of q01 in f\.sql is no number"):
            workload_of_text(f"-- weight: {weight}\nselect 1", where="f.sql")

    def test_variants_come_in_the_place_of_the_text(self) -> None:
        def variants(query: Query) -> list[Query]:
            return [query, replace(query, key=f"{query.key}/common", values=("1",))]

        (one,) = workload_of_text("select * from t where a = $1", variants=variants, search_path=("app",)).statements
        assert [(query.key, query.values, query.search_path) for query in one.queries] == [
            ("q01", None, ("app",)),
            ("q01/common", ("1",), ("app",)),
        ]

    @given(some.text(max_size=60))
    def test_no_text_breaks_it(self, text: str) -> None:
        try:
            found = workload_of_text(text)
        except QueryfitError:
            return
        for one in found.statements:
            assert one.weight >= 0
            assert one.queries
        names = [one.fingerprint for one in found.statements] + [one.fingerprint for one in found.skipped]
        assert len(names) == len(set(names))


class TestFiles:
    def test_a_folder_is_read_in_the_order_of_its_names(self, tmp_path: Path) -> None:
        (tmp_path / "b.sql").write_text("select 2; select 3")
        (tmp_path / "a.sql").write_text("-- weight: 4\nselect 1")
        (tmp_path / "c.txt").write_text("select 4")
        found = workload_of_file(tmp_path)
        assert [(one.fingerprint, one.weight) for one in found.statements] == [("a", 4), ("b", 1), ("b_2", 1)]

    def test_names_differ_over_files(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / f"{name}.sql").write_text("-- name: same\nselect 1")
        assert [one.fingerprint for one in workload_of_file(tmp_path).statements] == ["same", "same_2"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [(b"\xff\xfe", "is not UTF-8"), (b"", "there is no statement"), (None, "cannot be read")],
    )
    def test_what_cannot_be_read_is_said(self, tmp_path: Path, content: bytes | None, message: str) -> None:
        file = tmp_path / "queries.sql"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(QueryfitError, match=message):
            workload_of_file(file)

    def test_a_folder_without_sql_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(QueryfitError, match=r"there is no \*.sql file"):
            workload_of_file(tmp_path)


@pytest.fixture(scope="module")
def planner(cluster_of: Callable[[int], Cluster]) -> Iterator[RealPlanner]:
    with made(cluster_of(VERSIONS[-1]), "advise_workload") as found:
        yield found


def inserted(
    *, kind: str = "select", text: str = STATEMENTS["products"], per_day: str = "8000", cut: str = "false"
) -> str:
    """Evidence of one statement that ran 4,000 times in 4,000 ms, and of two others."""
    quoted = text.replace("'", "''")
    columns = """workload (database, fingerprint, text, kind, queryids, calls, rows, rows_per_call, mean_ms,
        execution_ms, blocks_hit, blocks_read, temp_blocks_written, calls_per_day, execution_ms_per_day, time_share,
        is_extrapolated)"""
    return f"""
        insert into statement_text values
            ('f1', '{quoted}', '{kind}', {cut}, null), ('f2', 'select 1', 'select', false, null);
        insert into {columns} values
            ('shop', 'f1', '{quoted}', '{kind}', 1, 4000, 0, 0, 1, 4000, 0, 0, 0, 8000, {per_day}, 1, false),
            ('shop', 'f2', 'select 1', 'select', 1, 10, 10, 1, 1, 10, 0, 0, 0, 20, 20, 0, false),
            ('other', 'f2', 'select 1', 'select', 1, 10, 10, 1, 1, 99, 0, 0, 0, 20, 99, 0, false);
    """


class TestSessions:
    def test_weight_times_cost_is_time_per_day(self, planner: RealPlanner) -> None:
        with example_session(inserted()) as session:
            found = workload_of_session(session, "shop", planner)
        assert found.unit == "ms per day"
        assert found.database == "shop"
        assert [one.fingerprint for one in found.statements] == ["f1", "f2"]
        first = found.statements[0]
        cost = planner.plan(first.queries[0]).cost
        assert first.weight * cost == pytest.approx(8000)
        assert first.execution_ms_per_day == 8000
        assert first.calls_per_day == 8000

    def test_variants_share_the_time(self, planner: RealPlanner) -> None:
        def variants(query: Query) -> list[Query]:
            return [query, replace(query, text=STATEMENTS["lines"]), replace(query, text="select gone from line")]

        with example_session(inserted()) as session:
            found = workload_of_session(session, "shop", planner, variants=variants, most=1)
        (one,) = found.statements
        costs = [planner.plan(query).cost for query in one.queries]
        assert len(costs) == 2  # the third cannot be planned
        assert one.weight * sum(costs) / 2 == pytest.approx(8000)

    def test_an_unknown_window_is_said(self, planner: RealPlanner) -> None:
        with example_session(inserted(per_day="null")) as session:
            found = workload_of_session(session, "shop", planner)
        assert found.unit == "ms"
        first = found.statements[0]
        assert first.weight * planner.plan(first.queries[0]).cost == pytest.approx(4000)
        assert first.execution_ms_per_day is None

    @pytest.mark.parametrize(
        ("more", "reason"),
        [
            ({"kind": "utility"}, "utility statements are not planned"),
            ({"kind": "hidden"}, "hidden from the role"),
            ({"cut": "true"}, "cut short"),
            ({"text": "select gone from line"}, 'column "gone" does not exist'),
        ],
    )
    def test_what_is_not_judged_is_named(self, planner: RealPlanner, more: dict[str, str], reason: str) -> None:
        with example_session(inserted(**more)) as session:
            found = workload_of_session(session, "shop", planner)
        assert [one.fingerprint for one in found.statements] == ["f2"]
        assert [one.fingerprint for one in found.skipped] == ["f1"]
        assert reason in found.skipped[0].reason
