"""Command lines run in this process, in an empty folder with a home of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from queryfit.cli.main import status_of
from queryfit.evidence.store import Capture, Store


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command line did."""

    status: int
    out: str
    err: str


CommandLine = Callable[..., Outcome]


@pytest.fixture
def queryfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    """A function that runs a command line: `queryfit("rules", "list")`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("PGHOST", "PGDATABASE", "PGUSER", "PGSERVICE", "NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        status = status_of([str(argument) for argument in arguments])
        return Outcome(status, *capfd.readouterr())

    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store that command lines use by default."""
    return Store(tmp_path / "data" / "queryfit")


def written(store: Store, *, at: str = "2026-01-08T12:00:00", databases: Sequence[str] = ("shop",)) -> Capture:
    """A small capture in the store."""
    with store.write("full") as writer:
        writer.meta |= {"system_identifier": "7123", "captured_at": at}
        writer.add(
            "server",
            [
                {
                    "system_identifier": "7123", "version_number": 180001, "version": "18.1", "provider": "self-hosted",
                    "is_standby": False, "is_pooled": False, "captured_at": datetime.fromisoformat(at), "role": "me",
                    "is_superuser": False, "has_monitor": True, "has_read_all_data": True,
                }
            ],
        )  # fmt: skip
        writer.add(
            "database",
            [
                {"database": name, "is_captured": True, "is_template": False, "allows_connections": True}
                for name in databases
            ],
        )
    assert writer.committed
    return writer.committed
