"""One mail a period: under a double start, and whenever the sending process is killed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from queryfit.delivery import deliver
from queryfit.errors import QueryfitError
from tests.delivery import child
from tests.delivery.servers import MailServer, hook_server, mail_server

ROOT = Path(__file__).parents[2]


def start(store: Path, server: MailServer, moment: str = "") -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.delivery.child",
        str(store),
        str(server.port),
        *([moment] if moment else []),
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said = process.communicate(timeout=60)[0]
    return process.returncode, said


def test_two_starts_at_once_send_one_mail(store: Path) -> None:
    with mail_server() as server:
        server.slow_s = 1.0
        outcomes = [ended(process) for process in [start(store, server) for _ in range(3)]]
    assert len(server.mails) == 1
    assert [status for status, _ in outcomes] == [0, 0, 0]
    assert sorted("already" in said for _, said in outcomes) == [False, True, True]


@pytest.mark.parametrize("moment", child.MOMENTS)
def test_a_process_killed_on_the_way_never_sends_twice_and_loses_nothing(store: Path, moment: str) -> None:
    with mail_server() as server:
        status, _ = ended(start(store, server, moment))
        assert status == -signal.SIGKILL
        time.sleep(0.1)  # the server may still be at what the dead one sent
        first = len(server.mails)
        status, said = ended(start(store, server))
        second = len(server.mails)
        if moment in {"connect", "mail", "rcpt", "data"}:
            assert (first, second, status) == (0, 1, 0), said
        elif moment == "written":
            assert (first, second, status) == (1, 1, 0)
            assert "already" in said
        else:
            assert (first, second, status) == (0 if moment == "before the end" else 1, first, 3)
            assert re.search(r"may have been sent to ana@example.org at 20\d\d-", said)
            deliver(child.LETTER, child.PERIOD, mail=child.config(server.port), webhooks=(), store=store, resend=True)
            assert len(server.mails) == first + 1
            assert len(set(identities(server))) == 1


def identities(server: MailServer) -> Sequence[str]:
    return [server.parsed(number)["Message-ID"] for number in range(len(server.mails))]


def test_killed_by_another_once_the_server_has_it(store: Path) -> None:
    with mail_server() as server:
        server.slow_s = 0.3
        process = start(store, server)
        server.kills = process.pid
        assert ended(process)[0] == -signal.SIGKILL
        server.kills = None
        with pytest.raises(QueryfitError, match="may have been sent"):
            deliver(child.LETTER, child.PERIOD, mail=child.config(server.port), webhooks=(), store=store)
    assert len(server.mails) == 1


def test_a_post_is_not_made_twice_either(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.delivery.child", str(store), "webhook"]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    with hook_server() as hook:
        monkeypatch.setenv("QUERYFIT_TEST_URL", hook.url)
        process = begin()
        hook.kills = process.pid
        assert ended(process)[0] == -signal.SIGKILL
        hook.kills = None
        for _ in range(2):
            status, said = ended(begin())
            assert (status, len(hook.posts)) == (3, 1)
            assert "may have been sent to team" in said
