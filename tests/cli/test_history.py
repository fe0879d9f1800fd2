"""`queryfit compact`, `queryfit history` over many captures, and captures that are due by themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from queryfit.evidence.guarding import tidying
from queryfit.evidence.store import Store
from tests.cli.conftest import CommandLine
from tests.history.simulator import Simulator
from tests.servers import Cluster


@pytest.fixture
def week(store: Store) -> Simulator:
    """Captures of the last week, every six hours, with a restart and a night without."""
    server = Simulator(store.folder, now=datetime.now(UTC).replace(microsecond=0) - timedelta(days=7))
    server.call(1, 5)
    for number in range(28):
        if number not in {13, 14}:
            server.capture("full" if number % 4 == 0 else "sample")
        server.call(1, 5)
        server.wait(3 * 3600)
        if number == 20:
            server.restart()
        server.wait(3 * 3600)
    return server


def test_history_says_how_far_it_reaches_and_what_happened(queryfit: CommandLine, week: Simulator) -> None:
    done = queryfit("history", "--width", "80")
    assert done.status == 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert "a capture every 6 h" in done.out.replace("\n           ", " ")
    assert "26 single captures (7 full ones)" in done.out
    assert "1, the longest 18 h from" in done.out
    assert "restarted" in done.out
    assert "the newest 20 captures; --all lists 6 more" in done.out
    assert len(queryfit("history", "--all", "--width", "80").out.splitlines()) == len(done.out.splitlines()) + 6 - 2
    told = json.loads(queryfit("history", "--format", "json").out)["scopes"][0]
    assert (told["captures"], told["full_captures"], len(told["gaps"])) == (26, 7, 1)
    assert [event["kind"] for event in told["events"]] == ["restarted"]
    assert week.captures


def test_compact_says_what_it_would_do_and_does_it(queryfit: CommandLine, week: Simulator) -> None:
    dry = queryfit("compact", "--dry-run")
    assert dry.status == 0
    assert "would be merged by the hour" in dry.out
    assert len(list((week.folder / "7").iterdir())) == 26
    done = queryfit("compact")
    assert done.out.splitlines()[0] == dry.out.splitlines()[0].replace("would be ", "")
    assert "the store went from" in done.out
    assert queryfit("compact").out.startswith("nothing to merge")
    after = queryfit("history", "--width", "80").out
    assert "in hours" in after
    assert "1, the longest 18 h from" in after
    assert "restarted" in after


def test_compact_refuses_what_is_no_length_or_size(queryfit: CommandLine, week: Simulator) -> None:
    assert queryfit("compact", "--keep-raw", "soon").status == 2
    assert queryfit("compact", "--most-bytes", "much").status == 2
    done = queryfit("compact", "--keep-raw", "30d", "--keep-hourly", "5d")
    assert done.status == 2
    assert "kept longer than what it is made of" in done.err
    assert queryfit("compact", "--store", week.folder / "nowhere").status == 3


def test_a_second_compact_ends_at_once(queryfit: CommandLine, week: Simulator) -> None:
    with tidying(week.folder):
        done = queryfit("compact")
    assert (done.status, done.out) == (0, "")
    assert "another compact is at work" in done.err


def test_a_full_capture_is_taken_when_one_is_due(queryfit: CommandLine, store: Store, newest: Cluster) -> None:
    def kinds() -> list[str]:
        return [capture.kind for server in store.servers() for capture in store.captures(server)[0]]

    done = queryfit("capture", newest.dsn(), "--kind", "auto", "--max-plans", "0")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert kinds() == ["full"]
    queryfit("capture", newest.dsn(), "--kind", "auto")
    assert sorted(kinds()) == ["full", "sample"]
    # another part of the server has captures of its own
    queryfit("capture", newest.dsn(), "--kind", "auto", "--schema", "public", "--max-plans", "0")
    assert sorted(kinds()) == ["full", "full", "sample"]
    queryfit("capture", newest.dsn(), "--kind", "auto", "--full-every", "1m", "--max-plans", "0")
    assert sorted(kinds()) == ["full", "full", "sample", "sample"]
    assert queryfit("capture", newest.dsn(), "--kind", "auto", "--full-every", "never").status == 2


def test_regular_captures_do_not_pile_up(queryfit: CommandLine, store: Store, newest: Cluster, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "queryfit", "capture", newest.dsn(), "--kind", "auto", "--for", "8s"]
    with subprocess.Popen([*command, "--store", store.folder], cwd=tmp_path) as slow:
        while not list(store.folder.glob(".regular-*")) and slow.poll() is None:
            pass
        done = queryfit("capture", newest.dsn(), "--kind", "auto", "--for", "8s")
        assert slow.wait() == 0
    assert done.status == 0
    assert "still at work" in done.err
    assert len([capture for server in store.servers() for capture in store.captures(server)[0]]) == 1
