"""Units that systemd takes, with every word where it belongs, installed and removed without touching others."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queryfit.errors import QueryfitError, UsageError
from queryfit.schedule.jobs import MARK, Job, Wanted, make_jobs
from queryfit.schedule.systemd import Units, files, install, remove
from queryfit.schedule.timing import At, Every
from tests.schedule.conftest import HOSTILE

SYSTEMD = Path("/lib/systemd/systemd")
NOBODY = 65534
StandIn = Callable[[str, str], Path]


def jobs(**more: object) -> tuple[Job, ...]:
    return make_jobs(Wanted(Every(5), At(7, 0, 0), **more))  # type: ignore[arg-type]


def units(folder: Path, **more: object) -> Units:
    return Units("queryfit", ("/bin/true",), folder / "store", **more)  # type: ignore[arg-type]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("is_system", [True, False])
def test_systemd_finds_no_fault(tmp_path: Path, is_system: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    env_file = tmp_path / "a 100% file"
    env_file.touch()
    made = files(
        units(tmp_path / "my %h $x", is_system=is_system, run_as="daemon", env_file=env_file, timezone="Europe/Berlin"),
        jobs(dsn=HOSTILE, store=str(tmp_path / "my %h $x" / "store"), by_mail=True),
    )
    assert len(made) == 6
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    mode = [] if is_system else ["--user"]
    command = ["systemd-analyze", *mode, "--man=no", "verify", *(str(tmp_path / name) for name in made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "queryfit-" in line.partition(": ")[0].rpartition("/")[2]]
    assert ours == []  # it complains of units of others as well


@pytest.mark.skipif(not SYSTEMD.exists(), reason="systemd is not installed")
@pytest.mark.skipif(os.getuid() != 0, reason="systemd's own look at a unit is asked for as another user")
def test_systemd_reads_back_what_was_meant(in_tmp: Path) -> None:
    env_file = in_tmp / "a 100% file"
    env_file.touch()
    wanted = jobs(dsn=HOSTILE)
    made = files(Units("queryfit", ("/bin/true", "-m", "x"), in_tmp / "my %h $x", env_file=env_file), wanted)
    for name, text in made.items():
        (in_tmp / name).write_text(text)
    home = in_tmp / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    done = subprocess.run(
        [str(SYSTEMD), "--test", "--user", "--unit=queryfit-capture.service"],
        env={"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "SYSTEMD_UNIT_PATH": f"{in_tmp}:/usr/lib/systemd/user"},
        user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    unit = done.stdout.partition("-> Unit queryfit-capture.service:")[2].partition("-> Unit")[0]
    (command,) = [line for line in unit.splitlines() if "Command Line:" in line]
    printed = ["/bin/sh", "-c", "printf '%s\\n' " + command.partition("Command Line: ")[2]]
    words = subprocess.run(printed, capture_output=True, text=True, check=True).stdout.splitlines()
    # variables are filled in when it starts: $$ is a dollar then
    assert tuple(word.replace("$$", "$") for word in words) == ("/bin/true", "-m", "x", *wanted[0].arguments)
    assert f"EnvironmentFile: {env_file}\n" in unit
    assert str(in_tmp / "my %h $x") in unit.partition("ReadWritePaths:")[2].partition("\n")[0]
    assert "ProtectSystem: strict" in unit


@pytest.fixture
def in_tmp() -> Iterator[Path]:
    """A folder that another user can enter."""
    with tempfile.TemporaryDirectory(prefix="queryfit-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_services_are_held_to_their_store(tmp_path: Path) -> None:
    made = files(units(tmp_path, is_system=True, run_as="daemon"), jobs())
    service, timer = made["queryfit-capture.service"], made["queryfit-capture.timer"]
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", f"ReadWritePaths={tmp_path}/store", "User=daemon"):
        assert f"\n{line}\n" in service
    for line in ("Persistent=true", "RandomizedDelaySec=30", "OnCalendar=*:0/5"):
        assert f"\n{line}\n" in timer
    state = files(Units("queryfit", ("/bin/true",), Path("/var/lib/queryfit"), is_system=True), jobs())
    assert "\nStateDirectory=queryfit\n" in state["queryfit-capture.service"]


@pytest.mark.parametrize(
    ("dsn", "is_private"),
    [
        ("service=shop", True),
        ("host=/tmp dbname=shop", False),
        ("host='/tmp/pg' dbname=shop", False),
        ("dbname=shop host=/var/tmp/pg", False),
        ("host=/run/postgresql dbname=tmp", True),
        ("postgresql:///shop?host=/tmp", False),
    ],
)
def test_a_socket_in_tmp_stays_in_reach(tmp_path: Path, dsn: str, is_private: bool) -> None:
    service = files(units(tmp_path), jobs(dsn=dsn))["queryfit-capture.service"]
    assert ("\nPrivateTmp=yes\n" in service) == is_private
    assert ("\nReadWritePaths=/tmp /var/tmp\n" in service) == (not is_private)


def test_installed_changed_and_removed(here: Path, stand_in: StandIn) -> None:
    calls = stand_in("systemctl", "")
    folder = here.parent / "xdg_config_home" / "systemd" / "user"
    folder.mkdir(parents=True)
    (folder / "other.service").write_text("theirs")
    mine = units(here)
    install(mine, jobs())
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert len(before) == 7
    assert calls.read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now queryfit-capture.timer queryfit-compact.timer queryfit-report.timer",
        "--user restart queryfit-capture.timer queryfit-compact.timer queryfit-report.timer",
    ]
    assert not [line for line in install(mine, jobs()) if line.startswith("wrote")]
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    said = install(mine, make_jobs(Wanted(Every(10), None)))
    assert sum(line.startswith("removed") for line in said) == 2
    assert "OnCalendar=*:0/10" in (folder / "queryfit-capture.timer").read_text()
    assert "--user disable --now queryfit-report.timer" in calls.read_text()
    assert len(remove(mine)) == 4
    assert [path.name for path in folder.iterdir()] == ["other.service"]
    assert remove(mine) == []
    assert (here / "store").is_dir()


def test_what_is_not_ours_stays(here: Path, stand_in: StandIn) -> None:
    calls = stand_in("systemctl", "")
    folder = here.parent / "xdg_config_home" / "systemd" / "user"
    folder.mkdir(parents=True)
    (folder / "queryfit-report.timer").write_text("theirs")
    tries: list[Callable[[], object]] = [lambda: install(units(here), jobs()), lambda: remove(units(here))]
    for call in tries:
        with pytest.raises(QueryfitError, match="was not made by queryfit"):
            call()
    assert [path.name for path in folder.iterdir()] == ["queryfit-report.timer"]
    assert not calls.exists()


def test_a_systemctl_that_fails(here: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in("systemctl", 'echo "Failed to connect to bus: No medium found" >&2; exit 1')
    with pytest.raises(QueryfitError, match="systemctl --user daemon-reload: Failed to connect to bus") as caught:
        install(units(here), jobs())
    assert "--kind cron" in str(caught.value.hint)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(QueryfitError, match="systemctl is not installed"):
        install(units(here), jobs())


@pytest.mark.parametrize("word", ["a\nExecStart=/bin/sh", "a\rb", "a\x00b", "a\u2028b"])
def test_no_word_begins_a_line(tmp_path: Path, word: str) -> None:
    with pytest.raises(UsageError, match="control character"):
        jobs(store=word)
    with pytest.raises(UsageError, match="control character"):
        files(units(tmp_path, env_file=Path(word)), jobs())
    with pytest.raises(UsageError, match="no name of a user"):
        files(units(tmp_path, is_system=True, run_as=word), jobs())


def test_every_file_says_whose_it_is(tmp_path: Path) -> None:
    assert all(MARK in text for text in files(units(tmp_path), jobs()).values())
