"""Lines of a crontab, in a block of their own between two marks; all other lines stay as they are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from queryfit.errors import QueryfitError, UsageError
from queryfit.schedule.jobs import MARK, Job, check_words
from queryfit.schedule.programs import call

_LONGEST = 990  # characters of a command that every cron takes
_HINT = "apt-get install cron, or use --kind systemd"


@dataclass(frozen=True, slots=True)
class Table:
    """Whose lines: `name` tells several blocks apart; `env_file` is read by the shell before each command."""

    name: str
    program: tuple[str, ...]
    env_file: Path | None = None

    @property
    def begin(self) -> str:
        return f"# >>> queryfit: {self.name} >>> {MARK}"

    @property
    def end(self) -> str:
        return f"# <<< queryfit: {self.name} <<<"


def block(table: Table, jobs: Sequence[Job]) -> str:
    """The lines with their marks. Raises UsageError for what cron cannot carry."""
    check_words((*table.program, str(table.env_file or "")))
    lines = [f"{job.timing.cron()} {_command(table, job)}" for job in jobs]
    return "\n".join([table.begin, *lines, table.end]) + "\n"


def _command(table: Table, job: Job) -> str:
    words = shlex.join((*table.program, *job.arguments))
    if table.env_file is not None:
        words = f"set -a; . {shlex.quote(str(table.env_file))}; set +a; {words}"
    # cron mails what is printed: errors only. Its % is a line break unless escaped, and how a backslash before it is
    # read differs from cron to cron
    command = f"{words} >/dev/null"
    if "\\" in command:
        raise UsageError("cron cannot carry a backslash", hint="name the server by a service: service=shop")
    command = command.replace("%", "\\%")
    if len(command) > _LONGEST:
        raise UsageError("the command is too long for cron", hint="name the server by a service: service=shop")
    return command


def install(table: Table, jobs: Sequence[Job]) -> list[str]:
    """Put the block into the crontab of this user, in place of an older one; what was done."""
    wanted = block(table, jobs)
    before = _read()
    rest = _without(before, table)
    gap = "" if not rest or rest.endswith("\n") else "\n"
    _write(before, f"{rest}{gap}{wanted}")
    return [f"wrote {len(jobs)} lines into the crontab"]


def remove(table: Table) -> list[str]:
    """Take the block out of the crontab of this user; what was done."""
    before = _read()
    after = _without(before, table)
    if after == before:
        return []
    _write(before, after)
    return ["removed the lines from the crontab"]


def _without(text: str, table: Table) -> str:
    """The crontab without our block. Raises QueryfitError where a mark is missing: what is between is not known."""
    begins, ends = (re.findall(f"^{re.escape(mark)}$", text, re.MULTILINE) for mark in (table.begin, table.end))
    found = re.search(f"^{re.escape(table.begin)}\n(?:.*\n)*?{re.escape(table.end)}(?:\n|\\Z)", text, re.MULTILINE)
    if (len(begins), len(ends)) not in {(0, 0), (1, 1)} or (begins and not found):
        raise QueryfitError(
            "the marks of queryfit in the crontab are not a pair any more", hint="mend them with `crontab -e`"
        )
    return text[: found.start()] + text[found.end() :] if found else text


def _read() -> str:
    done = call(["crontab", "-l"], hint=_HINT, allowed=(1,))
    if done.returncode and "no crontab" not in done.stderr:
        raise QueryfitError(f"crontab -l: {(done.stderr.strip() or 'it failed').splitlines()[0]}", hint=_HINT)
    return "" if done.returncode else done.stdout


def _write(before: str, after: str) -> None:
    if after == before:
        return
    if after.strip():
        call(["crontab", "-"], given=after, hint=_HINT)
    else:
        call(["crontab", "-r"], hint=_HINT)
