"""Delivers the letter of the tests in a process of its own, which may be killed on the way.

`python -m tests.delivery.child STORE PORT [MOMENT]`: by mail; at MOMENT the process ends as by kill -9.
`python -m tests.delivery.child STORE webhook`: to the URL in QUERYFIT_TEST_URL.
"""

from __future__ import annotations

import os
import signal
import smtplib
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from queryfit.config_delivery import MailConfig, SecretPlace, WebhookConfig
from queryfit.delivery import Letter, Period, deliver
from queryfit.delivery.outbox import Records
from queryfit.delivery.retry import Patience
from queryfit.errors import QueryfitError

UNTIL = datetime(2026, 11, 23, 7, tzinfo=UTC)
LETTER = Letter("the week", "text", "<p>text</p>")
PERIOD = Period("7300000000000000001", "all", UNTIL - timedelta(days=7), UNTIL)
MOMENTS = ("connect", "mail", "rcpt", "data", "before the end", "after the end", "before it is written down", "written")


WEBHOOK = WebhookConfig("team", "json", SecretPlace("env", "QUERYFIT_TEST_URL"))


def config(port: int) -> MailConfig:
    return MailConfig("127.0.0.1", port, "none", "queryfit@example.org", ("ana@example.org",))


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, is_it: Callable[..., bool]) -> None:
    """End the process when a method is called in a way that `is_it` tells."""
    whole = getattr(owner, name)

    def watched(*given: Any, **named: Any) -> Any:
        if is_it(*given, **named):
            die()
        return whole(*given, **named)

    setattr(owner, name, watched)


def after(owner: Any, name: str, is_it: Callable[..., bool]) -> None:
    """End the process when a method that was called in a way that `is_it` tells has done its work."""
    whole = getattr(owner, name)

    def watched(*given: Any, **named: Any) -> Any:
        result = whole(*given, **named)
        if is_it(*given, **named):
            die()
        return result

    setattr(owner, name, watched)


def has_state(state: str) -> Callable[..., bool]:
    return lambda _records, entry: state in entry.states.values()


def watch(moment: str) -> None:
    """Arrange the end."""
    by_moment: dict[str, tuple[Callable[[Any, str, Callable[..., bool]], None], Any, str, Callable[..., bool]]] = {
        "connect": (before, smtplib.SMTP, "connect", lambda *_: True),
        "mail": (before, smtplib.SMTP, "mail", lambda *_: True),
        "rcpt": (before, smtplib.SMTP, "rcpt", lambda *_: True),
        "data": (before, smtplib.SMTP, "docmd", lambda _, command, *__: command == "DATA"),
        "before the end": (after, Records, "put", has_state("sending")),
        "after the end": (after, smtplib.SMTP, "send", lambda _, data: data == b".\r\n"),
        "before it is written down": (before, Records, "put", has_state("sent")),
        "written": (after, Records, "put", has_state("sent")),
    }
    how, owner, name, is_it = by_moment[moment]
    how(owner, name, is_it)


def main(store: str, port: str, moment: str = "") -> int:
    if moment:
        watch(moment)
    mail, webhooks = (None, (WEBHOOK,)) if port == "webhook" else (config(int(port)), ())
    try:
        done = deliver(LETTER, PERIOD, mail=mail, webhooks=webhooks, store=Path(store), patience=Patience(first_s=0.01))
    except QueryfitError as error:
        print(error.message)
        return 3
    print(done.sent, done.notes)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
