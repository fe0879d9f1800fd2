"""Lines of a crontab: a real one where cron is installed."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queryfit.errors import QueryfitError, UsageError
from queryfit.schedule.cron import Table, block, install, remove
from queryfit.schedule.jobs import Job, Wanted, make_jobs
from queryfit.schedule.timing import At, Every
from tests.schedule.conftest import HOSTILE

TABLE = Table("queryfit", ("/bin/echo",))
OTHERS = "# mine\nMAILTO=me\n0 0 * * * /bin/true 'a\\%b'\n"
USER = "nobody"
StandIn = Callable[[str, str], Path]


def jobs(**more: object) -> tuple[Job, ...]:
    return make_jobs(Wanted(Every(10), At(7, 0, 0), **more))  # type: ignore[arg-type]


@pytest.fixture(params=["real", "stand-in"])
def crontab(request: pytest.FixtureRequest, stand_in: StandIn, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A crontab to read and write: that of another user where cron is installed, and one that is a file."""
    if request.param == "stand-in":
        file = tmp_path / "table"
        stand_in(
            "crontab",
            f"""case "$1" in
              -l) if [ -f {file} ]; then cat {file}; else echo "no crontab for me" >&2; exit 1; fi;;
              -r) rm {file};;
              -) cat > {file};;
            esac""",
        )

        def use_file(text: str | None = None) -> str:
            if text:
                file.write_text(text)
            return file.read_text() if file.exists() else ""

        yield use_file
        return
    real = shutil.which("crontab")
    if real is None or os.getuid() != 0:
        pytest.skip("cron is not installed, or only one's own crontab can be written")
    command = [real, "-u", USER]

    def use(text: str | None = None) -> str:
        if text:
            subprocess.run([*command, "-"], input=text, text=True, check=True)
        return subprocess.run([*command, "-l"], capture_output=True, text=True, check=False).stdout

    with (Path(tempfile.gettempdir()) / "queryfit-test-crontab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker at a time: there is one crontab
        if use():
            pytest.skip(f"{USER} has a crontab, which is none to test with")
        stand_in("crontab", f'exec {real} -u {USER} "$@"')
        yield use
        subprocess.run([*command, "-r"], capture_output=True, check=False)


def test_lines_come_and_go_and_others_stay(crontab: Callable[..., str]) -> None:
    assert remove(TABLE) == []
    install(TABLE, jobs())
    assert crontab() == block(TABLE, jobs())
    remove(TABLE)
    assert crontab() == ""
    crontab(OTHERS)
    install(TABLE, jobs())
    install(TABLE, jobs())
    assert crontab() == OTHERS + block(TABLE, jobs())
    shop = Table("shop", ("/bin/echo",))
    install(shop, jobs(dsn="service=shop"))
    install(TABLE, make_jobs(Wanted(Every(30), None)))
    assert crontab() == OTHERS + block(shop, jobs(dsn="service=shop")) + block(
        TABLE, make_jobs(Wanted(Every(30), None))
    )
    remove(TABLE)
    remove(shop)
    assert crontab() == OTHERS


def test_marks_that_are_no_pair_are_not_touched(crontab: Callable[..., str]) -> None:
    for text in (
        f"{TABLE.begin}\n0 0 * * * true\n",
        f"{TABLE.end}\n{TABLE.begin}\n",
        f"{TABLE.begin}\n" * 2 + TABLE.end + "\n",
    ):
        crontab(text)
        calls: list[Callable[[], object]] = [lambda: install(TABLE, jobs()), lambda: remove(TABLE)]
        for call in calls:
            with pytest.raises(QueryfitError, match="not a pair"):
                call()
        assert crontab() == text


def test_what_the_shell_gets_is_what_was_meant(tmp_path: Path) -> None:
    env_file = tmp_path / "a 'b' 100%"
    env_file.write_text("PGPASSWORD='p w'\n")
    wanted = jobs(dsn=HOSTILE)
    text = block(
        Table("queryfit", (sys.executable, "-c", "import sys; print(*sys.argv[1:], sep=chr(10))"), env_file), wanted
    )
    line = text.splitlines()[1]
    assert line.startswith("*/10 * * * * ")
    command = line.removeprefix("*/10 * * * * ")
    assert "%" not in command.replace("\\%", "")
    as_cron_reads = command.replace("\\%", "%").removesuffix(" >/dev/null")
    done = subprocess.run(["/bin/sh", "-c", as_cron_reads], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(wanted[0].arguments)
    exported = subprocess.run(
        ["/bin/sh", "-c", as_cron_reads.partition(f"; {sys.executable}")[0] + "; env"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PGPASSWORD=p w" in exported.stdout
    assert shlex.split(command)[-1] == ">/dev/null"


@pytest.mark.parametrize("dsn", ["service=a\\b", "service=" + "x" * 1000, "service=shop\n* * * * * reboot"])
def test_what_cron_cannot_carry(dsn: str) -> None:
    with pytest.raises((UsageError, QueryfitError)):
        block(TABLE, jobs(dsn=dsn))


def test_a_crontab_that_cannot_be_read(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in("crontab", 'echo "you are not allowed to use this program" >&2; exit 1')
    with pytest.raises(QueryfitError, match="you are not allowed"):
        install(TABLE, jobs())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(QueryfitError, match="crontab is not installed"):
        install(TABLE, jobs())


def test_the_readme_shows_what_is_printed() -> None:
    wanted = make_jobs(
        Wanted(
            Every(10), At(7, 0, 0), "service=shop", store="/var/lib/queryfit", config="/etc/queryfit.toml", by_mail=True
        )
    )
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert block(Table("queryfit", ("/usr/local/bin/queryfit",)), wanted) in readme
