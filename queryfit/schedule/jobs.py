"""What runs: captures, the compaction of old ones, and the report; as commands of queryfit itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from queryfit.errors import QueryfitError, UsageError
from queryfit.schedule.timing import At, Every

MARK = "made by `queryfit schedule`"  # in all that is written, and what is removed has to hold it
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_AT_NIGHT = At(3, 17)
JOBS = ("capture", "compact", "report")


@dataclass(frozen=True, slots=True)
class Job:
    """One command and its times. `arguments` begin with the name of the command; `limit_s` ends one that hangs."""

    name: str
    arguments: tuple[str, ...]
    timing: Every | At
    limit_s: int
    delay_s: int  # up to which it may begin later, so that not all machines begin at once


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for. `store` and `config` are paths where the jobs run; null: the default there."""

    every: Every
    report: At | None
    dsn: str | None = None
    store: str | None = None
    config: str | None = None
    by_mail: bool = False
    by_webhook: bool = False
    page: str | None = None  # the file that the report is written to
    redacts: bool = False


def make_jobs(wanted: Wanted) -> tuple[Job, ...]:
    """The jobs, in the order of JOBS. Raises QueryfitError for a DSN with a password."""
    if wanted.dsn is not None:
        check_dsn(wanted.dsn)
    place = [*_option("--store", wanted.store), *_option("--config", wanted.config)]
    dsn = [wanted.dsn] if wanted.dsn else []
    redact = ["--redact"] if wanted.redacts else []
    captures = ("capture", "--kind", "auto", "--quiet", *redact, *place, *dsn)
    jobs = [
        Job("capture", captures, wanted.every, limit_s=600, delay_s=min(wanted.every.minutes * 6, 30)),
        Job("compact", ("compact", "--quiet", *place), _AT_NIGHT, limit_s=3600, delay_s=900),
    ]
    if wanted.report is not None:
        ways = [*(["--mail"] if wanted.by_mail else []), *(["--webhook"] if wanted.by_webhook else [])]
        report = (
            "report",
            "--since",
            wanted.report.since,
            "--quiet",
            *_option("--output", wanted.page),
            *ways,
            *place,
            *dsn,
        )
        jobs.append(Job("report", report, wanted.report, limit_s=3600, delay_s=60))
    for job in jobs:
        check_words(job.arguments)
    return tuple(jobs)


def prefix(name: str) -> str:
    """What begins the names of units, files and objects of a schedule."""
    return "queryfit" if name == "queryfit" else f"queryfit-{name}"


def check_name(name: str) -> str:
    """The name of a schedule, fit for units, files and labels. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--name {name!r} cannot name units and files", hint="use a-z, 0-9 and '-', at most 40 of them"
        )
    return name


def check_dsn(dsn: str) -> None:
    """Raise QueryfitError for a DSN that holds a password, which would lie in a unit for all to read."""
    from psycopg import ProgrammingError  # noqa: PLC0415 -- heavy, and only here
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    if dsn.startswith("-"):
        raise UsageError("a DSN does not begin with '-'", hint="an option may be misspelt")
    try:
        parts = conninfo_to_dict(dsn)
    except ProgrammingError:
        # the message of libpq may repeat what it cannot read
        raise QueryfitError(
            "the DSN cannot be read", hint="a URI (postgresql://…), or key=value pairs; see libpq's documentation"
        ) from None
    if secret := sorted({"password", "sslpassword"} & parts.keys()):
        raise QueryfitError(
            f"the DSN holds a {secret[0]}, which would lie in the schedule for others to read",
            hint="leave it out: ~/.pgpass, PGPASSFILE, a service file, or PGPASSWORD in --env-file gives it",
        )


def check_words(words: tuple[str, ...]) -> None:
    """Raise UsageError for what cannot be printed: a line break would begin a line of its own."""
    for word in words:
        if not word.isprintable():
            raise UsageError(f"{word!r} holds a control character", hint="no path or DSN of a schedule may")


def _option(name: str, value: str | None) -> list[str]:
    return [name, value] if value else []
