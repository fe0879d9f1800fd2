"""The whole line: capture a server, judge the capture, compare with the run before, remember this run."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from queryfit import baseline
from queryfit.config import Config, default_store
from queryfit.errors import QueryfitError
from queryfit.evidence.store import Capture, Store, open_capture, write_atomically
from queryfit.findings import Finding, Past, Promise, Report
from queryfit.history.advice.outcomes import PATIENCE, Patience, calibrate
from queryfit.judge import judge
from queryfit.ruleset import Rule, load_rules

if TYPE_CHECKING:
    from queryfit.capture.server import CaptureOptions
    from queryfit.evidence.session import Addition
    from queryfit.history.advice.learning import Memory

Progress = Callable[[str], None]
EvidenceRows = Mapping[str, Sequence[Mapping[str, object]]]
_LAST_RUN = "last-run-*.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an audit works with besides its target: options of the command line over the configuration."""

    config: Config = field(default_factory=Config)
    store: Path | None = None
    rule_folders: tuple[Path, ...] = ()
    baseline: Path | None = None
    write_baseline: Path | None = None
    redacts: bool = False
    patience: Patience = PATIENCE  # before the saving of a fix is told
    in_lab: bool = False  # plan in the lab what was not planned live, and look for the best indexes there
    since: str | None = None  # judge what statements did from then on, by the history of the store: 7d, a date, a time

    @property
    def store_folder(self) -> Path:
        return self.store or self.config.store or default_store()

    def rules(self) -> tuple[Rule, ...]:
        """The rules that come with queryfit and the person's own. Raises QueryfitError."""
        return load_rules((*self.config.rules, *self.rule_folders))


@dataclass(frozen=True, slots=True)
class LastRun:
    """The findings of a run, as they were ranked then, and the capture that they came from."""

    findings: tuple[Finding, ...]
    capture: Path
    at: datetime


def audit_server(
    dsn: str | None, options: CaptureOptions, settings: Settings, progress: Progress = lambda _: None
) -> Report:
    """Capture the server and judge it. Raises QueryfitError.

    Where the store cannot be written to, the audit still runs on a capture in a temporary folder, and says so.
    """
    rules = settings.rules()  # a broken rule is told before anyone waits for a capture
    known = _baseline_ids(settings)
    with _writable_store(settings.store_folder) as (store, notes):
        capture = take_capture(dsn, options, store, redacts=settings.redacts, progress=progress)
        report = _judge(capture, rules, settings, known=known, is_live=True, progress=progress)
        return replace(report, notes=[*notes, *report.notes], capture=None if notes else report.capture)


def audit_capture(
    capture: Capture,
    settings: Settings,
    progress: Progress = lambda _: None,
    *,
    history: EvidenceRows | None = None,
) -> Report:
    """Judge a capture that was taken before. Raises QueryfitError.

    `history` are rows of evidence tables that many captures gave: with them, rules judge over time as well.
    """
    rules, known = settings.rules(), _baseline_ids(settings)
    return _judge(capture, rules, settings, known=known, is_live=False, progress=progress, history=history)


def take_capture(
    dsn: str | None,
    options: CaptureOptions,
    store: Store,
    *,
    redacts: bool = False,
    progress: Progress = lambda _: None,
) -> Capture:
    """Take a capture of a live server and commit it to the store. Raises QueryfitError and leaves nothing behind."""
    from queryfit.capture.server import capture_server  # noqa: PLC0415 -- psycopg loads only where a server is asked

    with store.write(options.kind, redacts=redacts) as writer:
        capture_server(dsn, options, writer, progress)
        # what the run looked at: only runs of one scope are compared; a standby has its primary's identifier
        looked_at = [writer.meta["database"], writer.meta["is_standby"]]
        writer.meta["scope"] = json.dumps(
            [*looked_at, options.databases, options.schemas, options.excludes], default=list
        )
        if options.kind == "sample":
            full = store.latest_full(writer.meta["system_identifier"], writer.meta["scope"])
            if full is not None:
                writer.build_on(full)
        progress("writing the capture")
    assert writer.committed
    return writer.committed


def find_capture(target: str | None, store: Store) -> Capture | None:
    """The capture that a command's argument names: a folder, or a name in the store; None when it names none."""
    if not target or "://" in target or "=" in target:
        return None
    capture = store.lookup(target)
    if capture is None and Path(target).is_dir():
        raise QueryfitError(
            f"{target} is not a capture: it holds no capture.json", hint="name the capture's own folder"
        )
    return capture


def last_run(store: Path) -> LastRun:
    """The most recent audit that this store remembers. Raises QueryfitError where there is none."""
    files = sorted(store.glob(f"*/{_LAST_RUN}"), key=lambda path: path.stat().st_mtime) if store.is_dir() else []
    if not files:
        raise QueryfitError(
            f"no audit is remembered in {store}", hint="run `queryfit audit` first, or name its --store"
        )
    remembered = _read_last_run(files[-1])
    if remembered is None:
        raise QueryfitError(f"{files[-1]} cannot be read", hint="run `queryfit audit` again")
    try:
        findings = tuple(_finding(entry) for entry in remembered["findings"])
    except (TypeError, ValueError):  # another version's
        raise QueryfitError(
            f"{files[-1]} is of another version of queryfit", hint="run `queryfit audit` again"
        ) from None
    return LastRun(
        findings=findings,
        capture=Path(remembered["capture"]),
        at=datetime.fromisoformat(remembered["at"]),
    )


def choose(run: LastRun, name: str) -> Finding:
    """The finding with that number in the run (1 is the first) or that id prefix. Raises QueryfitError."""
    if name.isdecimal() and len(name) < 4:  # noqa: PLR2004 -- a number is short, an id prefix has four digits or more
        if 1 <= int(name) <= len(run.findings):
            return run.findings[int(name) - 1]
        raise QueryfitError(f"the last run has {len(run.findings)} findings, no number {name}", hint="`queryfit audit`")
    matching = [finding for finding in run.findings if name and finding.id.startswith(name.lower())]
    if len(matching) == 1:
        return matching[0]
    if matching:
        ids = ", ".join(finding.id for finding in matching)
        raise QueryfitError(f"{name} is the beginning of several findings: {ids}", hint="give more digits")
    raise QueryfitError(f"no finding {name} in the last run", hint="`queryfit audit` prints numbers and ids")


def _judge(
    capture: Capture,
    rules: Sequence[Rule],
    settings: Settings,
    *,
    known: frozenset[str],
    is_live: bool,
    progress: Progress,
    history: EvidenceRows | None = None,
) -> Report:
    from queryfit.history.advice.learning import learn  # noqa: PLC0415 -- the rooms of history load only where they are asked

    scope = str(capture.meta.get("scope"))
    last = capture.folder.parent / _LAST_RUN.replace("*", hashlib.sha256(scope.encode()).hexdigest()[:8])
    memory, unremembered = _memory(capture, last)
    with _restricted(capture, settings, progress) as judged:
        addition, notes = _found_in_lab(judged, settings, progress)
        if history is not None:
            addition = _with_history(addition, history)
        report = judge(
            judged,
            rules,
            settings.config,
            today=datetime.now(UTC).date(),
            before=memory.before if memory else None,
            baseline_ids=known,
            addition=addition,
            calibration=calibrate(memory.ledger.outcomes) if memory else None,
            progress=progress,
        )
    report = replace(report, capture=str(capture.folder))
    report = replace(report, notes=[*report.notes, *notes, *unremembered, *(memory.notes if memory else ())])
    if settings.write_baseline:
        baseline.write_baseline(settings.write_baseline, [*report.findings, *_of_baseline(report)])
    try:
        if memory and settings.since is None:  # what did not run in a stretch is not mended
            report = learn(memory, capture, report, is_live=is_live, patience=settings.patience)
        _remember(last, capture, report)
    except OSError as error:
        note = f"cannot remember this run in {last}: {error.strerror or error}; `show` and `fix` cannot refer to it"
        return replace(report, notes=[*report.notes, note])
    return report


def _of_baseline(report: Report) -> list[Finding]:
    return [finding for finding in report.suppressed if finding.suppressed_by == "baseline"]


def _baseline_ids(settings: Settings) -> frozenset[str]:
    path = settings.baseline or settings.config.baseline
    return frozenset(baseline.read_baseline(path)) if path else frozenset()


@contextmanager
def _writable_store(folder: Path) -> Iterator[tuple[Store, list[str]]]:
    store = Store(folder)
    try:
        store.prepare()
    except QueryfitError as error:
        note = f"{error.message}; this run is not remembered, so `show` and `fix` cannot refer to it"
    else:
        yield store, []
        return
    with tempfile.TemporaryDirectory(prefix="queryfit-") as temporary:
        yield Store(Path(temporary)), [note]


def _memory(capture: Capture, last: Path) -> tuple[Memory | None, list[str]]:
    """What is remembered of runs before, and a note where it cannot be read."""
    from queryfit.history.advice.learning import remember  # noqa: PLC0415

    run = None
    if remembered := _read_last_run(last):
        with suppress(QueryfitError, TypeError, ValueError):  # a capture that is gone, another version's findings
            run = [_finding(entry) for entry in remembered["findings"]], open_capture(Path(remembered["capture"]))
    try:
        return remember(capture, run), []
    except OSError as error:
        return None, [f"what earlier runs found cannot be read: {error.strerror or error}"]


def _remember(path: Path, capture: Capture, report: Report) -> None:
    remembered = {
        "capture": str(capture.folder),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "findings": [asdict(finding) for finding in report.findings],
    }
    write_atomically(path, json.dumps(remembered, default=_plain))


@contextmanager
def _restricted(capture: Capture, settings: Settings, progress: Progress) -> Iterator[Capture]:
    """The capture to judge: the one that was taken, or the same with its statements counted since a moment."""
    if settings.since is None:
        yield capture
        return
    from queryfit.history.chain import captured_at  # noqa: PLC0415 -- as above
    from queryfit.history.since import restricted  # noqa: PLC0415
    from queryfit.history.window import parse_since  # noqa: PLC0415

    since = parse_since(settings.since, captured_at(capture).replace(tzinfo=UTC))
    with restricted(capture, since, progress) as stretch:
        yield stretch.capture


def _with_history(addition: Addition | None, history: EvidenceRows) -> Addition:
    from queryfit.evidence.session import Addition  # noqa: PLC0415 -- DuckDB loads only where evidence is read

    return Addition({**addition.rows, **history}, addition.planned) if addition is not None else Addition(history)


def _found_in_lab(capture: Capture, settings: Settings, progress: Progress) -> tuple[Addition | None, Sequence[str]]:
    """What the lab adds to the capture, and notes on what it could not do."""
    if not settings.in_lab or capture.meta.get("kind") != "full":
        return None, ()
    from queryfit.advise.evidence import found_in_lab  # noqa: PLC0415 -- the lab's rooms load only where it is used

    return found_in_lab(capture, settings.store_folder, progress)


def _plain(value: object) -> object:
    return asdict(value) if isinstance(value, Struct) else str(value)


def _finding(entry: Mapping[str, Any]) -> Finding:
    """A finding as it was remembered. Raises TypeError or ValueError for one of another version."""
    past = entry.get("past")
    times = {name: datetime.fromisoformat(past[name]) for name in ("first_seen", "since")} if past else {}
    return Finding(
        **{
            **entry,
            "promises": tuple(Promise(**promise) for promise in entry.get("promises", ())),
            "past": Past(**{**past, **times}) if past else None,
        }
    )


def _read_last_run(path: Path) -> dict[str, Any] | None:
    """The remembered run; None where there is none or it cannot be read: then there is nothing to compare with."""
    try:
        remembered = json.loads(path.read_text(encoding="utf-8"))
        whole = all({"id", "rule", "subject"} <= entry.keys() for entry in remembered["findings"])
        datetime.fromisoformat(remembered["at"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return remembered if whole and isinstance(remembered.get("capture"), str) else None
