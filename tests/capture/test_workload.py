"""How the texts of pg_stat_statements are grouped and where their names are looked up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryfit.capture.workload import SearchPaths, Workload, split_path
from queryfit.sql.catalog import Catalog


@pytest.mark.parametrize(
    ("setting", "schemas"),
    [
        ('"$user", public', ("ada", "public")),
        ("", ()),
        ('""', ()),
        ("Sales,  public", ("sales", "public")),
        ('"Sales", "a,b", "c""d"', ("Sales", "a,b", 'c"d')),
        ('"unclosed', ("unclosed",)),
        (",,a,", ("a",)),
    ],
)
def test_a_search_path_is_read_as_the_server_reads_it(setting: str, schemas: tuple[str, ...]) -> None:
    assert split_path(setting, "ada") == schemas


@given(st.lists(st.text(min_size=1).filter(lambda name: name != "$user")))
def test_a_quoted_search_path_comes_back_as_it_was(names: list[str]) -> None:
    setting = ", ".join('"{}"'.format(name.replace('"', '""')) for name in names)
    assert split_path(setting, "ada") == tuple(names)


@given(st.text())
def test_no_setting_is_too_odd(setting: str) -> None:
    assert isinstance(split_path(setting, "ada"), tuple)


def test_the_most_specific_search_path_wins() -> None:
    paths = SearchPaths("base", {("shop", "ada"): "both", ("", "ada"): "role", ("shop", ""): "place"})
    assert paths.of("shop", "ada") == ("both",)
    assert paths.of("other", "ada") == ("role",)
    assert paths.of("shop", "bob") == ("place",)
    assert paths.of("other", "bob") == ("base",)


def statement(text: str | None, *, queryid: int | None = 1, execution_ms: float = 1.0) -> dict[str, Any]:
    return {
        "database": "shop",
        "role": "ada",
        "queryid": queryid,
        "execution_ms": execution_ms,
        "text": text,
        "shared_blocks_read": 0,
        "temp_blocks_read": 0,
        "temp_blocks_written": 0,
    }


def test_texts_that_differ_in_their_constants_only_are_one() -> None:
    workload = Workload(
        [
            statement("select * from t where a in ($1)", queryid=1),
            statement("select * from t where a in ($1, $2, $3)", queryid=2),
            statement("update t set a = $1", queryid=3),
        ],
        SearchPaths(),
    )
    workload.understand("shop", Catalog([]))
    assert len({row["fingerprint"] for row in workload.statements}) == 2
    (longest,) = [row["text"] for row in workload.text_rows() if row["kind"] == "select"]
    assert longest == "select * from t where a in ($1, $2, $3)"
    assert workload.databases() == set()
    assert {one.kind for one in workload.candidates("shop")} == {"select", "update"}


def test_texts_that_are_hidden_or_lost_say_nothing() -> None:
    workload = Workload([statement("<insufficient privilege>", queryid=None), statement(None)], SearchPaths())
    assert workload.understand("shop", Catalog([])) == []
    assert [row["kind"] for row in workload.text_rows()] == ["hidden"]
    assert list(workload.shape_rows()) == []


def test_sessions_are_matched_by_query_id_and_else_by_text() -> None:
    workload = Workload([statement("select * from t where a = $1", queryid=7)], SearchPaths())
    workload.understand("shop", Catalog([]))
    known = workload.statements[0]["fingerprint"]
    sessions: list[dict[str, Any]] = [
        {"database": "shop", "queryid": 7, "text": "anything, for the id decides"},
        {"database": "shop", "queryid": None, "text": "select * from t where a = 5"},
        {"database": "shop", "queryid": 8, "text": "select * from other"},
        {"database": None, "queryid": None, "text": None},
    ]
    workload.fingerprint_activity(sessions)
    assert [row.get("fingerprint") for row in sessions[:2]] == [known, known]
    assert sessions[2]["fingerprint"] != known
    assert "fingerprint" not in sessions[3]
