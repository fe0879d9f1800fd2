"""Labs on disk: used again, one process each, and nothing left of a process that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.cli.main import status_of
from queryfit.errors import QueryfitError
from queryfit.evidence.store import Capture, Store
from queryfit.lab import server
from queryfit.lab.build import build
from queryfit.lab.server import found_labs, labs_folder, remove_labs
from tests.conftest import VERSIONS
from tests.servers import Cluster

DATABASE = "lab_places"
QUERY = b"explain (format json) select * from t where b = 3"
HOLD = """
    import sys, time
    from pathlib import Path
    from queryfit.evidence.store import open_capture
    from queryfit.lab import contents
    from queryfit.lab.build import build
    from queryfit.lab.planner import Size

    capture = open_capture(Path(sys.argv[1]))
    if sys.argv[3] == "while it is built":
        def fill(place, *_, **__):
            print(place.folder, (place.data / "postmaster.pid").read_text().split()[0], flush=True)
            time.sleep(120)
        contents.fill = fill
    lab = build(capture, sys.argv[2])
    own = lab.connect()
    with lab.shrunk(["public.t"]):
        own.execute("create index left_over on public.t (b)")
        own.commit()
    lab.set_index(own, "public.left_over", "public.t", Size(8192 * 10, 10.0))
    lab.show(own, ["public.t_b"], False)
    own.commit()
    print(lab.folder, (lab.folder / "data" / "postmaster.pid").read_text().split()[0], flush=True)
    time.sleep(120)
"""


@pytest.fixture(scope="module")
def capture(cluster_of: Callable[[int], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Capture:
    newest = cluster_of(VERSIONS[-1])
    newest.create_database(DATABASE)
    newest.run(
        "create table t (a int primary key, b int); insert into t select i, i % 100 from generate_series(1, 9000) as i;"
        "create index t_b on t (b); analyze",
        database=DATABASE,
    )
    with Store(tmp_path_factory.mktemp("store")).write("full") as writer:
        capture_server(newest.dsn(DATABASE), CaptureOptions(max_plans=0), writer)
    newest.drop_database(DATABASE)
    assert writer.committed is not None
    return writer.committed


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="queryfit-test-") as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o711)
        patch.setenv("XDG_CACHE_HOME", folder)
        yield Path(folder)
        remove_labs()


def held(capture: Capture, moment: str) -> tuple[subprocess.Popen[str], Path, int]:
    """Another process with a lab of the capture; its lab's folder and its server's process."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLD), capture.folder, DATABASE, moment],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    folder, process_id = process.stdout.readline().split()
    return process, Path(folder), int(process_id)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def ends(process_id: int) -> bool:
    for _ in range(200):
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.usefixtures("cache")
def test_a_lab_is_built_once_and_opened_again(capture: Capture) -> None:
    with build(capture, DATABASE) as first:
        assert first.was_built
        folder = first.folder
    assert not (folder / "data" / "postmaster.pid").exists()
    with build(capture, DATABASE) as again, closing(again.connect()) as connection:
        assert not again.was_built
        assert again.folder == folder
        assert again.not_carried == first.not_carried
        assert "t_b" in str(connection.execute(QUERY).fetchone())


@pytest.mark.usefixtures("cache")
def test_two_processes_get_a_lab_each(capture: Capture) -> None:
    process, folder, process_id = held(capture, "in use")
    try:
        with build(capture, DATABASE) as mine:
            assert mine.folder != folder
            assert sorted(lab.is_in_use for lab in found_labs()) == [True, True]
            assert remove_labs({folder.name}) == ([], [folder.name])
    finally:
        kill(process)
    labs = found_labs()
    assert ends(process_id)
    assert {lab.folder for lab in labs} >= {folder, mine.folder}


@pytest.mark.usefixtures("cache")
def test_a_lab_of_a_killed_process_is_tidied_and_used_again(capture: Capture) -> None:
    remove_labs()
    process, folder, process_id = held(capture, "in use")
    kill(process)
    with build(capture, DATABASE) as lab, closing(lab.connect()) as connection:
        assert lab.folder == folder
        assert not lab.was_built
        plan = str(connection.execute(QUERY).fetchone())
        assert connection.execute("select to_regclass('public.left_over')").fetchone() == (None,)
    assert ends(process_id)
    assert "t_b" in plan


@pytest.mark.usefixtures("cache")
def test_a_lab_that_a_killed_run_changed_for_good_is_built_anew(capture: Capture) -> None:
    with build(capture, DATABASE) as lab:
        with closing(lab.connect()) as connection:
            connection.execute("create table mine (a int)")
            connection.execute("alter table t drop column b")
            connection.commit()
        folder = lab.folder
    assert (folder / server.IN_USE).exists()
    with build(capture, DATABASE) as again, closing(again.connect()) as connection:
        assert again.was_built
        assert again.folder == folder
        assert "t_b" in str(connection.execute(QUERY).fetchone())
    assert not (folder / server.IN_USE).exists()
    with build(capture, DATABASE) as third:
        assert not third.was_built


@pytest.mark.usefixtures("cache")
def test_a_half_built_lab_of_a_killed_process_is_removed(capture: Capture) -> None:
    remove_labs()
    process, folder, process_id = held(capture, "while it is built")
    kill(process)
    assert folder.exists()
    assert found_labs() == []
    assert ends(process_id)
    assert not folder.exists()
    assert list(labs_folder().glob("*.lock")) == []


@pytest.mark.usefixtures("cache")
def test_a_kept_lab_goes_on_until_it_is_removed(capture: Capture, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["lab", str(capture.folder), "--keep", "-q"]) == 0
    shown = capsys.readouterr().out
    (lab,) = found_labs()
    assert lab.is_kept
    assert "psql 'postgresql://queryfit_owner@/lab" in shown
    with build(capture, DATABASE) as again:
        assert again.folder == lab.folder
    process_id = int((lab.folder / "data" / "postmaster.pid").read_text().split()[0])
    assert status_of(["lab", "list"]) == 0
    assert "kept running" in capsys.readouterr().out
    assert status_of(["lab", "remove", lab.name]) == 0
    assert ends(process_id)
    assert status_of(["lab", "list"]) == 3
    assert status_of(["lab", "remove"]) == 2


@pytest.mark.usefixtures("cache")
def test_the_labs_not_used_for_longest_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    remove_labs()
    monkeypatch.setattr(server, "MOST_LABS", 2)
    for number, name in enumerate(("old", "older")):
        folder = labs_folder() / f"{name}-1"
        folder.mkdir()
        (folder / server.META).write_text("{}")
        os.utime(folder / server.META, (1000 - number, 1000 - number))
    place = server.claim("new")
    assert [lab.name for lab in found_labs()] == ["old-1"]
    assert not (labs_folder() / "older-1").exists()
    place.release()
    assert not place.folder.exists()


def test_a_database_that_was_not_captured_is_said(capture: Capture, cache: Path) -> None:
    with pytest.raises(QueryfitError, match="does not hold the database elsewhere"):
        build(capture, "elsewhere")
    assert [lab.meta["database"] for lab in found_labs() if lab.meta.get("database") == "elsewhere"] == []
    assert not list(cache.glob("queryfit/labs/*/data/postmaster.pid"))
