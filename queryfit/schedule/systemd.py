"""Timers and services of systemd, for one user or for the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from queryfit.errors import QueryfitError, UsageError
from queryfit.evidence.store import write_atomically
from queryfit.schedule.jobs import JOBS, MARK, Job, check_words, prefix
from queryfit.schedule.programs import call

_STATE = Path("/var/lib")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_HINT = "install the printed units by hand, or use --kind cron"
# what a service of one user can have as well; without the right to make namespaces, systemd leaves those of files out
_HARDENING = """\
NoNewPrivileges=yes
ProtectSystem=strict
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""
_HARDENING_OF_MACHINE = """\
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
PrivateDevices=yes
RestrictNamespaces=yes
CapabilityBoundingSet=
"""


@dataclass(frozen=True, slots=True)
class Units:
    """How the jobs run: `program` is the command that starts queryfit, `run_as` the user of a machine's service."""

    name: str
    program: tuple[str, ...]
    store: Path
    is_system: bool = False
    run_as: str | None = None
    env_file: Path | None = None
    timezone: str | None = None

    def folder(self) -> Path:
        """Where the units lie."""
        if self.is_system:
            return Path("/etc/systemd/system")
        base = os.environ.get("XDG_CONFIG_HOME")
        return (Path(base) if base else Path.home() / ".config") / "systemd" / "user"

    def unit(self, job: str) -> str:
        """The name of a job's units, without the ending."""
        return f"{prefix(self.name)}-{job}"


def files(units: Units, jobs: Sequence[Job]) -> dict[str, str]:
    """The text of each unit by its file name. Raises UsageError for what a unit cannot say."""
    check_words((*units.program, str(units.store), str(units.env_file or "")))
    if "$" in units.program[0] or "%" in units.program[0]:
        raise UsageError(f"systemd cannot start {units.program[0]}", hint="install queryfit in a path without $ and %")
    if units.run_as is not None and not _USER.fullmatch(units.run_as):
        raise UsageError(f"--run-as {units.run_as!r} is no name of a user", hint="such as queryfit")
    found = {}
    for job in jobs:
        found[f"{units.unit(job.name)}.service"] = _service(units, job)
        found[f"{units.unit(job.name)}.timer"] = _timer(units, job)
    return found


def _service(units: Units, job: Job) -> str:
    network = "Wants=network-online.target\nAfter=network-online.target\n" if units.is_system else ""
    user = f"User={units.run_as}\n" if units.is_system and units.run_as else ""
    env_file = f"EnvironmentFile={_path(units.env_file)}\n" if units.env_file else ""
    command = " ".join(quoted(word) for word in (*units.program, *job.arguments))
    is_state = units.is_system and units.store.parent == _STATE
    place = (
        f"StateDirectory={quoted(units.store.name, is_command=False)}\nStateDirectoryMode=0700\n" if is_state else ""
    )
    return (
        f"# {MARK}; `queryfit schedule --remove` removes it\n"
        f"[Unit]\nDescription={prefix(units.name)}: {job.name}\n{network}\n"
        f"[Service]\nType=oneshot\n{user}{env_file}ExecStart={command}\nTimeoutStartSec={job.limit_s}\nUMask=0077\nNice=10\n"
        f"{place}ReadWritePaths={quoted(str(units.store), is_command=False)}\n"
        f"{_temporary(job)}{_HARDENING}{_HARDENING_OF_MACHINE if units.is_system else ''}"
    )


def _temporary(job: Job) -> str:
    """A /tmp of its own, unless the server's socket or the store is in the real one."""
    is_used = any(
        re.search(r"(^|=)['\"]?(/var)?/tmp(/|$)", word) for argument in job.arguments for word in argument.split()
    )
    return "ReadWritePaths=/tmp /var/tmp\n" if is_used else "PrivateTmp=yes\n"


def _timer(units: Units, job: Job) -> str:
    zone = f" {units.timezone}" if units.timezone else ""
    return (
        f"# {MARK}; `queryfit schedule --remove` removes it\n"
        f"[Unit]\nDescription={prefix(units.name)}: {job.name}\n\n"
        f"[Timer]\nOnCalendar={job.timing.calendar()}{zone}\nRandomizedDelaySec={job.delay_s}\nAccuracySec=1s\n"
        "Persistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )


def quoted(word: str, *, is_command: bool = True) -> str:
    """A word as systemd reads it back: its quotes and backslashes, % of specifiers, and $ of variables in commands."""
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if is_command:
        safe = safe.replace("$", "$$")
    return safe if re.fullmatch(r"[A-Za-z0-9_./:=@,+-]+", safe) else f'"{safe}"'


def _path(path: Path) -> str:
    """A path that is the rest of its line, where quotes would be part of it."""
    return str(path).replace("%", "%%")


def install(units: Units, jobs: Sequence[Job]) -> list[str]:
    """Write the units, start their timers, and remove those of jobs that are not wanted any more; what was done.

    Raises QueryfitError, with nothing written, where a file of that name is not ours.
    """
    wanted = files(units, jobs)
    folder = units.folder()
    known = [f"{units.unit(job)}.{kind}" for job in JOBS for kind in ("service", "timer")]
    for name in known:
        _check_ours(folder / name)
    said = []
    try:
        if not units.is_system:
            units.store.mkdir(parents=True, exist_ok=True, mode=0o700)  # or ReadWritePaths would not find it
        for name, text in wanted.items():
            if _read(folder / name) != text:
                write_atomically(folder / name, text)
                (folder / name).chmod(0o644)
                said.append(f"wrote {folder / name}")
    except OSError as error:
        raise _unwritable(folder, error) from None
    said += _drop(units, [name for name in known if name not in wanted])
    _systemctl(units, "daemon-reload")
    timers = [name for name in wanted if name.endswith(".timer")]
    _systemctl(units, "enable", "--now", *timers)
    _systemctl(units, "restart", *timers)  # one that runs already goes on with its old times
    return [*said, *(f"started {timer}" for timer in timers)]


def remove(units: Units) -> list[str]:
    """Stop the timers and remove the units that are ours; what was done."""
    said = _drop(units, [f"{units.unit(job)}.{kind}" for job in JOBS for kind in ("service", "timer")])
    if said:
        _systemctl(units, "daemon-reload")
    return said


def _drop(units: Units, names: Sequence[str]) -> list[str]:
    folder = units.folder()
    there = [name for name in names if (folder / name).exists()]
    for name in there:
        _check_ours(folder / name)
    if timers := [name for name in there if name.endswith(".timer")]:
        _systemctl(units, "disable", "--now", *timers)
    for name in there:
        try:
            (folder / name).unlink()
        except OSError as error:
            raise _unwritable(folder, error) from None
    return [f"removed {folder / name}" for name in there]


def _check_ours(path: Path) -> None:
    if (text := _read(path)) is not None and MARK not in text:
        raise QueryfitError(f"{path} was not made by queryfit", hint="choose another --name, or move the file away")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise QueryfitError(f"{path} cannot be read: {error.strerror or error}", hint=_HINT) from None


def _unwritable(folder: Path, error: OSError) -> QueryfitError:
    return QueryfitError(f"cannot write to {folder}: {error.strerror or error}", hint="--system needs root")


def _systemctl(units: Units, *arguments: str) -> None:
    call(["systemctl", *([] if units.is_system else ["--user"]), *arguments], hint=_HINT)
