"""The ledger: what it remembers over many runs, and what it survives."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from queryfit.audit import Settings, audit_capture
from queryfit.evidence.store import Capture, Store
from queryfit.findings import Finding, Report
from queryfit.history.advice.learning import learn, remember
from queryfit.history.advice.ledger import (
    KEPT_DAYS,
    Change,
    Ledger,
    Remembered,
    Unreadable,
    locked,
    place,
    promises,
    put_aside,
    read,
    write,
)

SERVER = {
    "system_identifier": "7", "version_number": 180000, "version": "18", "provider": "self-hosted", "is_standby": False,
    "is_pooled": False, "captured_at": "2026-01-08 12:00:00", "role": "r", "is_superuser": False, "has_monitor": True,
    "has_read_all_data": True,
}  # fmt: skip
START = datetime.fromisoformat("2026-01-01")


def take(folder: Path, day: int, *, redacts: bool = False) -> Capture:
    """A capture of a day without any rows but the server's."""
    with Store(folder).write("full", redacts=redacts) as writer:
        at = START + timedelta(days=day)
        writer.meta.update(system_identifier="7", captured_at=f"{at.isoformat()}+00:00", scope="x")
        for table in ("server", "setting", "statement", "statement_store", "checkpoint", "statement_text", "unread"):
            writer.add(table, [SERVER] if table == "server" else [])
    assert writer.committed
    return writer.committed


def finding(name: str, fix: str | None = None) -> Finding:
    return Finding(
        id=f"{name:0>12}", rule="r", group="g", title="t", database="app", subject=name, severity="warning",
        proof="inferred", message="m", fix=fix, undo=None, impact_ms_per_day=None, impact_low_ms_per_day=None,
        is_urgent=False, file=None, line=None, evidence={"also": []},
    )  # fmt: skip


def run(capture: Capture, *names: str, fix: str | None = None, is_live: bool = True) -> Report:
    """A run that finds what is named and judges everything."""
    memory = remember(capture)
    found = [finding(name, fix) for name in names]
    ids = {entry.id for entry in found}
    absent = [entry for entry in memory.before or () if entry["state"] in ("new", "open", "back")]
    report = Report(
        server=None, files=None, window=None, findings=found, not_checked=(),
        fixed=[entry for entry in absent if entry["id"] not in ids],
    )  # fmt: skip
    return learn(memory, capture, report, is_live=is_live)


def states(folder: Path) -> dict[str, str]:
    return {entry.subject: entry.state for entry in promises(Store(folder), "7", "x").states}


def ledger_of(folder: Path) -> Path:
    return place(folder / "7", "x")


def test_a_finding_over_time(tmp_path: Path) -> None:
    seen: list[str] = []
    for day in range(30):
        report = run(take(tmp_path, day), *(["a"] if day < 5 or day >= 17 else []), "b")
        seen += [entry.state for entry in report.findings if entry.subject == "a"]
        assert [entry["subject"] for entry in report.fixed] == (["a"] if day == 5 else [])
    assert seen == ["new", *["open"] * 4, *["back"] * 13]
    a, b = sorted(promises(Store(tmp_path), "7", "x").states, key=lambda entry: entry.subject)
    assert (a.seen, a.runs, a.fixed_seconds) == (18, 30, 12 * 86_400)
    assert a.since == START + timedelta(days=17)
    assert (b.state, b.seen, b.runs) == ("open", 30, 30)


def test_an_older_capture_teaches_nothing_unless_it_was_taken_just_now(tmp_path: Path) -> None:
    older, newer = take(tmp_path, 1), take(tmp_path, 2)
    run(newer, "a")
    run(older, "b", is_live=False)
    assert states(tmp_path) == {"a": "new"}
    run(older, "b", is_live=True)  # two audits at once, the later one was done first
    assert states(tmp_path) == {"a": "new", "b": "new"}
    assert promises(Store(tmp_path), "7", "x").runs == 2


def test_no_ledger_is_an_empty_one(tmp_path: Path) -> None:
    known = promises(Store(tmp_path), "7", "x")
    assert (known.outcomes, known.states, known.calibration.factor) == ([], (), 1)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "3", '{"version": 1, "entries": 3}', '{"version": 2}', '{"version": 1, "entries": [{}]}', "\x00",
     "[" * 100_000, '{"version": 1, "runs": 1e400}', '{"version": "1"}'],
)  # fmt: skip
def test_what_is_no_ledger_is_put_aside_and_told(tmp_path: Path, text: str) -> None:
    run(take(tmp_path, 1), "a")
    path = ledger_of(tmp_path)
    path.write_text(text)
    assert promises(Store(tmp_path), "7", "x").notes
    report = audit_capture(take(tmp_path, 2), Settings(store=tmp_path))
    assert [note for note in report.notes if f"{path.name}.damaged" in note]
    assert path.with_name(f"{path.name}.damaged").read_text() == text
    assert read(path).runs == 1
    path.write_text(text)
    audit_capture(take(tmp_path, 3), Settings(store=tmp_path))
    assert path.with_name(f"{path.name}.damaged1").exists(), "the first is kept"


def test_two_that_put_it_aside_at_once(tmp_path: Path) -> None:
    assert put_aside(tmp_path / "ledger-x.json") is None


def test_redaction_keeps_no_literal(tmp_path: Path) -> None:
    fix = "create index concurrently i on public.t (a) where b = 'secret';"
    run(take(tmp_path, 1), "a", fix=fix)
    assert "secret" in ledger_of(tmp_path).read_text()
    run(take(tmp_path, 2, redacts=True), "b", fix=fix)
    assert "secret" not in ledger_of(tmp_path).read_text()


def entry(name: str, at: datetime, state: str = "gone") -> Remembered:
    changes = (Change(at, "new"), Change(at, state))
    return Remembered(name, "r", None, name, "t", "info", "inferred", None, None, at, at, "c", 1, 1, changes)


def test_what_is_gone_for_a_year_is_forgotten(tmp_path: Path) -> None:
    old = START - timedelta(days=KEPT_DAYS + 1)
    held = (entry("old", old), entry("there", old, "open"), entry("young", START))
    write(tmp_path / "l.json", Ledger(entries=held), START)
    assert {kept.id for kept in read(tmp_path / "l.json").entries} == {"there", "young"}


def _add(path: Path, names: list[str]) -> None:
    for name in names:
        with locked(path):
            held = read(path)
            write(path, Ledger(runs=held.runs + 1, entries=(*held.entries, entry(name, START))), START)


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger-x.json"
    context = multiprocessing.get_context("fork")
    names = [[f"{writer}{number}" for number in range(20)] for writer in "ab"]
    processes = [context.Process(target=_add, args=(path, some)) for some in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert {kept.id for kept in read(path).entries} == {name for some in names for name in some}


def test_killed_while_writing_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger-x.json"
    context = multiprocessing.get_context("fork")
    for number in range(5):
        process = context.Process(target=_add, args=(path, [f"{number}-{other}" for other in range(10_000)]))
        process.start()
        process.join(0.1 + 0.03 * number)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        held = read(path)  # neither torn nor locked for good
        _add(path, [f"after {number}"])
        assert len(read(path).entries) == len(held.entries) + 1


def test_a_note_says_why_it_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger-x.json"
    path.write_text(json.dumps({"version": 9}))
    with pytest.raises(Unreadable, match="version 9"):
        read(path)
