"""A history says the same before and after its captures were merged, whatever stopped the merging."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from queryfit.evidence.guarding import reading
from queryfit.evidence.store import Capture, Store
from queryfit.history import open_history, rates
from queryfit.history.compaction import Compaction, compact
from queryfit.history.keeping import Keep
from queryfit.history.tables import NAMES, Grain
from tests.history.simulator import SCOPE, SERVER, STANDBY, START, Simulator, fingerprint

KEEP = Keep(raw=timedelta(hours=12))


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Simulator:
    """Four days of captures every four hours, with all that happens to counters in them."""
    server = Simulator(tmp_path_factory.mktemp("days"), "1.10")
    chance = random.Random(7)
    for hour in range(0, 96, 4):
        server.capture("full" if hour % 24 == 0 else "sample")
        for _ in range(3):
            server.wait(3600)
            server.call(chance.randint(1, 4), chance.randint(1, 9), chance.choice([0.5, 2.0]))
            server.insert(chance.choice(["orders", "items"]), chance.randint(1, 9))
        if hour == 20:
            server.reset_statements()
        if hour == 36:
            server.evict(2)
        if hour == 52:
            server.crash()
        if hour == 60:
            server.fail_over(turns=True)
        if hour == 76:
            server.restart()
        server.wait(3600)
    server.capture()
    return server


@pytest.fixture
def server(days: Simulator, tmp_path: Path) -> Simulator:
    """A copy of the four days in a store of its own."""
    shutil.copytree(days.folder, tmp_path / "store")
    copied = Simulator(tmp_path / "store", "1.10")
    copied.now, copied.here, copied.is_standby = days.now, deepcopy(days.here), days.is_standby
    return copied


def merge(server: Simulator, keep: Keep = KEEP, *, is_dry: bool = False) -> Compaction:
    return compact(Store(server.folder), keep, now=server.now, is_dry=is_dry)


def told(server: Simulator, grain: Grain = "hour", scope: str = STANDBY) -> dict[str, Any]:
    """All that the history tables say, with the texts."""
    store = Store(server.folder)
    with open_history(store, SERVER, scope, since=START - timedelta(days=1), grain=grain) as history:
        said = {}
        for name in (*NAMES, "statement_text"):
            result = history.session.query(f"select * from {name} order by all")
            said[name] = [
                tuple(round(value, 6) if isinstance(value, float) else value for value in row) for row in result.rows
            ]
    return said


def names(server: Simulator) -> list[str]:
    return sorted(path.name for path in (server.folder / SERVER).iterdir())


@pytest.mark.parametrize("grain", ["hour", "day"])
def test_merging_changes_nothing_that_is_told(server: Simulator, grain: Grain) -> None:
    before = told(server, grain)
    result = merge(server)
    assert result.merged[0].days >= 3
    assert told(server, grain) == before
    assert len([name for name in names(server) if name.startswith("period-")]) == result.merged[0].days
    kinds = {row[1] for row in before["server_event"]}
    assert kinds >= {"statements_reset", "evicted", "crashed", "failed_over", "restarted"}


def test_a_second_run_finds_nothing_to_do_and_later_captures_go_on(server: Simulator) -> None:
    merge(server)
    before = names(server)
    assert merge(server).merged == []
    assert names(server) == before
    calls = sum(rate.calls for rate in counted(server).values())
    server.call(1, 1000)
    server.capture()
    assert sum(rate.calls for rate in counted(server).values()) == calls + 1000


def counted(server: Simulator) -> Any:
    return rates(
        Store(server.folder), SERVER, STANDBY, since=START - timedelta(days=1), until=server.now + timedelta(days=9)
    )


def test_all_can_be_merged_and_the_last_capture_is_still_a_beginning(server: Simulator) -> None:
    before = told(server)
    server.now += timedelta(days=3)
    merge(server)
    assert told(server) == before
    calls = {key: rate.calls for key, rate in counted(server).items()}
    server.call(1, 1000)
    server.capture()
    after = {key: rate.calls for key, rate in counted(server).items()}
    assert after["shop", fingerprint(1)] == calls["shop", fingerprint(1)] + 1000


def test_hours_become_days_and_days_are_dropped_by_the_month(server: Simulator) -> None:
    before = told(server, "day")
    server.now += timedelta(days=3)
    merge(server)
    result = merge(server, Keep(raw=timedelta(hours=12), hourly=timedelta(days=1)))
    assert result.merged[0].days_of_hours >= 3
    assert {row[2] for row in told(server)["span"]} == {"day"}
    assert told(server, "day") == before
    server.now += timedelta(days=500)
    assert merge(server).merged[0].dropped_days == result.merged[0].days_of_hours
    assert not [name for name in names(server) if name.startswith("period-")]


def test_a_dry_run_only_tells(server: Simulator) -> None:
    before = names(server)
    dry = merge(server, is_dry=True)
    assert names(server) == before
    real = merge(server)
    assert (dry.merged[0].days, dry.merged[0].captures) == (real.merged[0].days, real.merged[0].captures)
    assert real.merged[0].removed_captures > 10
    assert real.bytes_after < real.bytes_before


def test_a_captured_that_cannot_be_read_is_named_and_stays(server: Simulator) -> None:
    samples = [Capture(path, {}) for path in sorted((server.folder / SERVER).iterdir())]
    damaged, future, strange = samples[2].folder, samples[8].folder, samples[9].folder
    (damaged / "statement.parquet").write_bytes(b"PAR1")
    meta = json.loads((future / "capture.json").read_text(encoding="utf-8"))
    (future / "capture.json").write_text(json.dumps({**meta, "format_version": 99}), encoding="utf-8")
    size = (strange / "statement.parquet").stat().st_size
    (strange / "statement.parquet").write_bytes(os.urandom(size))  # as long as it was
    before = told(server)
    result = merge(server)
    assert {entry.folder for entry in result.unusable} == {damaged, future, strange}
    assert {damaged.name, future.name, strange.name} <= set(names(server))
    assert told(server) == before


def test_a_newest_capture_that_is_damaged_is_stepped_over(server: Simulator) -> None:
    newest, before = (server.folder / SERVER / name for name in reversed(names(server)[-2:]))
    damaged = newest / "statement.parquet"
    damaged.write_bytes(os.urandom(damaged.stat().st_size))
    with open_history(Store(server.folder), SERVER, STANDBY, since=START - timedelta(days=1)) as history:
        assert history.newest.folder == before
        assert [entry.folder for entry in history.unusable] == [newest]


def test_a_window_of_which_only_periods_are_left_can_be_opened(server: Simulator) -> None:
    since, until = START + timedelta(days=1), START + timedelta(days=2)
    store = Store(server.folder)
    with open_history(store, SERVER, STANDBY, since=since, until=until) as history:
        before = history.session.query("select sum(calls) from statement_span").rows
    merge(server)
    for capture in store.captures(SERVER)[0][:-1]:
        shutil.rmtree(capture.folder)
    with open_history(store, SERVER, STANDBY, since=since, until=until) as history:
        assert history.session.query("select sum(calls) from statement_span").rows == before
        assert history.newest.folder.exists()


def test_what_others_keep_in_the_store_is_left_alone(server: Simulator) -> None:
    first = names(server)[0]
    (server.folder / SERVER / "last-run-0a0b0c0d.json").write_text(json.dumps({"capture": f"/x/{first}"}))
    (server.folder / "labs").mkdir()
    (server.folder / "labs" / "cluster").write_text("x")
    server.now += timedelta(days=60)
    merge(server)
    assert first in names(server)
    assert (server.folder / "labs" / "cluster").exists()


def test_a_damaged_period_is_named_and_the_rest_is_told(server: Simulator) -> None:
    merge(server)
    period = next(path for path in (server.folder / SERVER).iterdir() if path.name.startswith("period-"))
    (period / "statement_span.parquet").write_bytes(b"")
    store = Store(server.folder)
    with open_history(store, SERVER, STANDBY, since=START - timedelta(days=1)) as history:
        assert [entry.folder for entry in history.unusable] == [period]
        assert history.session.query("select count(*) from statement_span").rows[0][0] > 0


def test_two_at_once_and_a_reader_in_between(server: Simulator) -> None:
    before = told(server)
    with reading(server.folder):
        started = time.monotonic()
        result = merge(server)
        assert time.monotonic() - started < 60
    assert result.merged[0].removed_captures == 0
    assert "in use" in result.notes[0]
    assert told(server) == before  # the captures are still there, beside what they were merged into
    assert merge(server).merged[0].removed_captures > 10
    assert told(server) == before


MERGE = """
    import sys
    from datetime import datetime, timedelta
    from pathlib import Path
    from queryfit.evidence.store import Store
    from queryfit.history.compaction import compact
    from queryfit.history.keeping import Keep
    result = compact(Store(Path(sys.argv[1])), Keep(raw=timedelta(hours=12)), now=datetime.fromisoformat(sys.argv[2]))
    print("busy" if result.is_busy else "done")
"""


def start(server: Simulator) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(MERGE), str(server.folder), server.now.isoformat()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_do_not_merge_twice(server: Simulator) -> None:
    before = told(server)
    runs = [start(server), start(server)]
    said = sorted(run.communicate(timeout=120)[0].strip() for run in runs)
    assert said in (["busy", "done"], ["done", "done"])
    assert told(server) == before


@pytest.mark.parametrize("moment", [0.3, 0.6, 0.9])
def test_a_killed_run_loses_nothing_and_counts_nothing_twice(
    days: Simulator, server: Simulator, tmp_path: Path, moment: float
) -> None:
    shutil.copytree(days.folder, tmp_path / "other")
    whole = start(Simulator(tmp_path / "other"))
    started = time.monotonic()
    whole.communicate(timeout=120)
    length = time.monotonic() - started
    before = told(server)
    run = start(server)
    time.sleep(length * moment)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert told(server) == before
    merge(server)
    assert told(server) == before
    assert len([name for name in names(server) if name.startswith("period-")]) >= 3


def test_the_folder_stays_under_its_bound(server: Simulator) -> None:
    server.now += timedelta(days=3)
    size = merge(server).bytes_after
    result = merge(server, Keep(raw=timedelta(hours=12), most_bytes=size * 3 // 4))
    assert result.bytes_after <= size * 3 // 4
    assert told(server)["span"]


def test_periods_are_for_their_owner_alone(server: Simulator) -> None:
    merge(server)
    for period in (server.folder / SERVER).glob("period-*"):
        assert period.stat().st_mode & 0o777 == 0o700
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in period.iterdir())
    assert SCOPE


def test_a_full_disk_is_told_and_nothing_is_lost(server: Simulator, tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""
        import shutil, subprocess, sys
        from pathlib import Path
        disk, store = Path({str(disk)!r}), Path({str(server.folder)!r})
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]).returncode:
            print("no mount"); sys.exit()
        shutil.copytree(store, disk, dirs_exist_ok=True)
        try:
            with (disk / "ballast").open("wb") as ballast:
                while True:
                    ballast.write(bytes(4096))
                    ballast.flush()
        except OSError:
            pass
        names = sorted(path.name for path in disk.glob("*/2*"))
        command = [sys.executable, "-m", "queryfit", "compact", "-q", "--keep-raw", "12h", "--store", disk]
        print("status", subprocess.run(command).returncode, flush=True)
        print(names == sorted(path.name for path in disk.glob("*/2*")), list(disk.glob("*/period*")))
        print([path.name for path in (disk / ".incoming").iterdir()])
    """
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "no mount" in done.stdout or "unshare" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert f"cannot write to the store {disk}: No space left on device" in done.stderr, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["status 3", "True []", "[]"]
