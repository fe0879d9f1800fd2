"""After `queryfit compact` the month is told as before, from fewer and smaller files."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from queryfit.cli.main import status_of
from tests.month.conftest import Lived, is_of_the_story

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryfit.history import History

pytestmark = pytest.mark.xdist_group("month")

# what is asked of both, by what it is called in a failure
SUMS = {
    "statements": (
        "select database, fingerprint, sum(calls), sum(rows), sum(blocks_hit), sum(blocks_read),"
        " sum(temp_blocks_written), sum(wal_bytes), bool_or(is_lower_bound) from statement_span group by all"
    ),
    "tables": (
        "select database, relation, sum(sequential_scans), sum(sequential_rows), sum(index_scans), sum(inserted_rows),"
        " sum(updated_rows), sum(deleted_rows), bool_or(is_lower_bound), arg_max(size_bytes, ended_at),"
        " arg_max(live_rows, ended_at) from relation_span group by all"
    ),
    "indexes": (
        "select database, index, sum(scans), sum(read_rows), bool_or(is_lower_bound) from index_span group by all"
    ),
    "databases": (
        "select database, sum(commits), sum(rollbacks), sum(sessions), max(most_connections),"
        " arg_max(connections, ended_at), arg_max(size_bytes, ended_at) from database_span group by all"
    ),
    "sequences": "select database, sequence, arg_max(last_value, ended_at) from sequence_span group by all",
    "events": "select happened_at, kind, database, subject, value_before, value_now from server_event",
    "spans": "select min(started_at), max(ended_at), sum(captures), round(sum(covered_s), 3) from span",
}
# a few days stay hours, the others become days
KEPT = ("--keep-raw", "1d", "--keep-hourly", "6d", "--keep-daily", "3650d")


@pytest.fixture(scope="module")
def compacted(month: Lived, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    store = Path(shutil.copytree(month.folder, tmp_path_factory.mktemp("compacted") / "store"))
    output = store.parent / "output"
    arguments = ["compact", *KEPT, "--store", str(store), "--output", str(output), "--quiet"]
    assert status_of(arguments) == 0
    return Lived(store, month.truth)


@pytest.fixture(scope="module")
def after(compacted: Lived) -> Iterator[History]:
    with ExitStack() as stack:
        yield stack.enter_context(compacted.history())


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))


@pytest.mark.parametrize("name", list(SUMS))
def test_nothing_is_lost(name: str, history: History, after: History) -> None:
    before = {tuple(row) for row in history.session.query(SUMS[name]).rows}
    assert before
    assert {tuple(row) for row in after.session.query(SUMS[name]).rows} == before


def test_times_are_the_same_but_for_rounding(history: History, after: History) -> None:
    query = "select database || fingerprint, sum(execution_ms), sum(squared_ms) from statement_span group by 1"
    before = {key: numbers for key, *numbers in history.session.query(query).rows}
    told = {key: numbers for key, *numbers in after.session.query(query).rows}
    assert told.keys() == before.keys()
    for key, numbers in before.items():
        assert told[key] == pytest.approx(numbers, rel=1e-9)


def test_the_same_statements_changed_for_the_same_reasons(history: History, after: History) -> None:
    columns = ("fingerprint", "change", "reason_kind", "reason_subject", "plan_before", "plan_now")
    before, told = (
        {
            tuple(row[column] for column in columns)
            for row in one.session.query("select * from statement_change").mappings()
            if is_of_the_story(row)
        }
        for one in (history, after)
    )
    assert len(before) == 4
    assert told == before


def test_the_same_dates(history: History, after: History) -> None:
    query = "select kind, subject, limit_name, value, per_day, days_left from trend where days_left < 365"
    before = {row[:3]: row[3:] for row in history.session.query(query).rows}
    told = {row[:3]: row[3:] for row in after.session.query(query).rows}
    assert len(before) == 2
    assert told.keys() == before.keys()
    for key, numbers in before.items():
        assert told[key] == pytest.approx(numbers, rel=0.01)


def test_the_line_of_a_table_s_size_is_the_same(history: History, after: History) -> None:
    query = "select value, per_day from trend where kind = 'table_size' and subject = 'public.page_views'"
    ((value, per_day),) = history.session.query(query).rows
    ((value_now, per_day_now),) = after.session.query(query).rows
    assert value_now == value
    assert per_day_now == pytest.approx(per_day, rel=0.005)


def test_it_is_smaller(month: Lived, compacted: Lived) -> None:
    assert size(compacted.folder) < size(month.folder) / 2


def test_the_report_has_the_same_numbers(
    month: Lived, compacted: Lived, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("reports")
    reports: list[dict[str, Any]] = []
    for store in (Path(shutil.copytree(month.folder, place / "store")), compacted.folder):
        output = place / "report.json"
        arguments = ["report", "--since", "2026-10-01", "--no-lab", "--format", "json", "--quiet"]
        assert status_of([*arguments, "--store", str(store), "--output", str(output)]) == 0
        reports.append(json.loads(output.read_text(encoding="utf-8")))
    before, told = (
        {
            "headline": one["headline"]["first"],
            "statements": {row["fingerprint"]: (row["calls"], row["is_lower_bound"]) for row in one["statements"]},
            "findings": {(row["rule"], row["subject"]) for row in one["findings"]["found"]},
            "fixed": {row["id"] for row in one["findings"]["fixed"]},
            "changes": {
                (row["fingerprint"], row["change"]) for row in one["changes"] if row["change"] in {"new", "gone"}
            },
            "events": {(row["happened_at"], row["kind"], row["subject"]) for row in one["events"]},
            "tables": {row["relation"]: (row["size_bytes"], row["inserted_rows"]) for row in one["tables"]},
            "outcomes": {row["finding"]: round(row["got_ms_per_day"]) for row in one["outcomes"]},
        }
        for one in reports
    )
    assert told == before
