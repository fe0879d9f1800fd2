"""Two captures of a server compared: statements, schema, settings, indexes, and what cannot be compared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryfit import words
from queryfit.errors import QueryfitError, UsageError
from queryfit.evidence.session import Addition, Session, open_session
from queryfit.evidence.store import Capture, Store
from queryfit.history.chain import Link, link, scope_of
from queryfit.history.changes import Change, row
from queryfit.history.derived import Rows, derive, explained
from queryfit.history.holding import Held, hold
from queryfit.history.levels import Level, StatementKey
from queryfit.history.schema_changes import SchemaChange, schema_changes, setting_changes
from queryfit.history.stretch import spans_before, spans_between
from queryfit.history.two_points import compared

if TYPE_CHECKING:
    from datetime import timedelta

_EXPECTED_SCANS = 20  # an index that should have been used so often since then, and was not, is out of use
_DAY_S = 86_400.0
_KINDS = "('select', 'insert', 'update', 'delete', 'merge', 'unparsed')"

_BEFORE = f"""
    select database, fingerprint, calls, rows, execution_ms, blocks_hit, blocks_read, temp_blocks_written, window_s
    from workload
    where kind in {_KINDS}
"""
_NOW = f"""
    select database, fingerprint, sum(calls), sum(rows), sum(execution_ms), sum(blocks_hit), sum(blocks_read),
        sum(temp_blocks_written), (select sum(covered_s) from span)
    from statement_span
    join statement_text using (fingerprint)
    where kind in {_KINDS}
    group by database, fingerprint
"""
_INDEXES = """
    select idx.database, idx.relation, idx.index, idx.size_bytes,
        idx.is_unique or idx.constraint_name is not null as is_needed,
        sum(span.scans) as scans, bool_or(span.is_lower_bound) as is_lower_bound
    from relation_index as idx
    join index_span as span on span.database = idx.database and span.index = idx.index
    where idx.is_valid
    group by all
    order by idx.database, idx.index
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two captures: its name, when it was taken (UTC), and what it says of the server."""

    name: str
    folder: Path
    kind: str
    at: datetime
    server: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StatementChange:
    """A row of `statement_change` with the statement's text."""

    text: str
    facts: Mapping[str, Any]

    @property
    def change(self) -> str:
        return str(self.facts["change"])


@dataclass(frozen=True, slots=True)
class IndexUse:
    """An index that began to be used (`began`), is no longer (`stopped`), or was not all the time (`unused`)."""

    use: str
    database: str
    relation: str
    index: str
    scans_before: int | None
    scans: int
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Diff:
    """What is different. `seconds` were watched between the two; `basis` says what the statements are held against."""

    before: Side
    now: Side
    is_same_server: bool
    seconds: float
    basis: str
    statements: Sequence[StatementChange]
    schema: Sequence[SchemaChange]
    settings: Sequence[SchemaChange]
    indexes: Sequence[IndexUse]
    events: Sequence[Mapping[str, Any]]
    gaps: Sequence[str]


def compare_captures(
    before: Capture,
    now: Capture,
    store: Store,
    *,
    allows_any: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Diff:
    """What changed from one capture to a later one.

    Where the store holds captures between them and before, the history of each statement is looked at. Raises
    QueryfitError for two servers, unless `allows_any`, and for a damaged capture; UsageError where the order is wrong.
    """
    is_same = before.system_identifier == now.system_identifier
    if not is_same and not allows_any:
        raise QueryfitError(f"{before.name} and {now.name} are of two servers", hint="--any compares them all the same")
    first, last = link(before), link(now)
    if before.folder.resolve() == now.folder.resolve():
        raise UsageError(f"both are the capture {now.name}", hint="name two; `queryfit history` lists them")
    if is_same and first.at >= last.at:
        raise UsageError(f"{before.name} is not older than {now.name}", hint="name the older one first")
    progress("reading the captures")
    with tempfile.TemporaryDirectory(prefix="queryfit-") as name, open_session(before) as session_before:
        folder = Path(name)
        held = _between(store, first, last) if is_same else Held([first, last])
        files = spans_between(held, first.at, last.at, folder / "now", progress) if is_same else {}
        earlier = _earlier(store, first, last.at - first.at, folder / "earlier", progress) if is_same else {}
        fulls = [entry.capture for entry in held.links if entry.is_full]
        found: Rows = {}
        if is_same:
            progress("looking for changes")
            every = {**now.files(), **files}
            found = derive(every, fulls, earlier=earlier, since=first.at if earlier else None)
        with open_session(now, Addition(rows=found), files=files) as session_now:
            return _diff(
                _Sides(before, now, session_before, session_now, is_same_server=is_same),
                has_earlier=bool(earlier),
                fulls=fulls,
                files={**now.files(), **files},
            )


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both captures with their sessions."""

    before: Capture
    now: Capture
    session_before: Session
    session_now: Session
    is_same_server: bool


def _diff(sides: _Sides, *, has_earlier: bool, fulls: Sequence[Capture], files: Mapping[str, Path]) -> Diff:
    session, was = sides.session_now, sides.session_before
    (seconds,) = session.query("select coalesce(sum(covered_s), 0) from span").rows[0]
    changes = list(session.query("select * from statement_change").mappings())
    if not has_earlier:
        told = {(entry["database"], entry["fingerprint"]) for entry in changes}
        two = [change for change in _two_points(sides, float(seconds)) if change.key not in told]
        changes += [row(change) for change in (explained(files, fulls, two) if sides.is_same_server else two)]
    texts = {**_texts(was), **_texts(session)}
    return Diff(
        before=_side(sides.before, was),
        now=_side(sides.now, session),
        is_same_server=sides.is_same_server,
        seconds=float(seconds),
        basis=_basis(sides, has_earlier=has_earlier),
        statements=[StatementChange(texts.get(entry["fingerprint"], ""), entry) for entry in changes],
        schema=schema_changes(was, session, is_same_server=sides.is_same_server),
        settings=setting_changes(was, session),
        indexes=_index_use(sides, float(seconds)) if sides.is_same_server else (),
        events=list(session.query("select * from server_event order by happened_at, kind, subject").mappings()),
        gaps=_gaps(sides),
    )


def _basis(sides: _Sides, *, has_earlier: bool) -> str:
    if not sides.is_same_server:
        return "the counters of both captures, each since its own reset"
    return (
        "the time before the first capture, as long as the time since"
        if has_earlier
        else ("the counters up to the first capture")
    )


def _between(store: Store, first: Link, last: Link) -> Held:
    """The captures from the first to the last, both with them; only these two where they are not of one history."""
    held = hold(store, last.capture.system_identifier, scope_of(last.capture))
    within = [entry for entry in held.links if first.at <= entry.at <= last.at]
    names = {entry.capture.folder.resolve() for entry in within}
    if not {first.capture.folder.resolve(), last.capture.folder.resolve()} <= names:
        return Held([first, last])
    return Held(within, held.periods)


def _earlier(
    store: Store, first: Link, length: timedelta, folder: Path, progress: Callable[[str], None]
) -> Mapping[str, Path]:
    """The spans of the stretch before the first capture; none where the store does not reach back."""
    held = hold(store, first.capture.system_identifier, scope_of(first.capture))
    return spans_before(held, first.at, length, folder, progress)


def _two_points(sides: _Sides, seconds: float) -> list[Change]:
    """Changes by totals: up to the first capture against what came since."""
    before = _levels(sides.session_before, _BEFORE)
    now = _levels(sides.session_now, _NOW if sides.is_same_server else _BEFORE)
    held = sides.session_now.query("select distinct database, fingerprint from statement").rows
    stores = sides.session_before.query("select evictions from statement_store").rows
    lost = sides.session_now.query(
        "select count(*) from server_event where kind in ('statements_reset', 'crashed', 'failed_over', 'upgraded')"
    ).rows[0][0]
    return compared(
        before,
        now,
        seconds=seconds if sides.is_same_server and not lost else 0.0,
        is_before_whole=any(evictions == 0 for (evictions,) in stores),
        still=frozenset((database, fingerprint) for database, fingerprint in held),
    )


def _levels(session: Session, sql: str) -> dict[StatementKey, Level]:
    return {
        (database, fingerprint): Level(*(float(number or 0) for number in numbers))
        for database, fingerprint, *numbers in session.query(sql).rows
        if numbers[0]
    }


def _texts(session: Session) -> dict[str, str]:
    return dict(session.query("select fingerprint, text from statement_text").rows)


def _side(capture: Capture, session: Session) -> Side:
    facts = next(iter(session.query("select * from server").mappings()), {})
    names = session.query("select database from database where is_captured order by 1").rows
    at = link(capture).at.replace(tzinfo=UTC)
    return Side(capture.name, capture.folder, capture.kind, at, {**facts, "databases": [name for (name,) in names]})


def _index_use(sides: _Sides, seconds: float) -> list[IndexUse]:
    """Indexes whose use began or ended, and those that nothing used in all the time that both captures know."""
    days = seconds / _DAY_S
    windows = dict(sides.session_before.query("select database, window_days from counter_window").rows)
    before = {
        (database, index): scans
        for database, index, scans in sides.session_before.query(
            "select database, index, scans from index_counter"
        ).rows
    }
    found = []
    for entry in sides.session_now.query(_INDEXES).mappings():
        scans, was = entry["scans"] or 0, before.get((entry["database"], entry["index"]))
        window = windows.get(entry["database"])
        use = None
        if scans and not was:
            use = "began"
        elif not scans and was and not entry["is_lower_bound"]:
            use = "stopped" if window and was / window * days >= _EXPECTED_SCANS else None
        elif not scans and was == 0 and not entry["is_needed"] and days >= 1:
            use = "unused"
        if use:
            found.append(
                IndexUse(use, entry["database"], entry["relation"], entry["index"], was, scans, entry["size_bytes"])
            )
    order = ("stopped", "began", "unused")
    return sorted(found, key=lambda entry: (order.index(entry.use), -(entry.size_bytes or 0), entry.index))


def _gaps(sides: _Sides) -> list[str]:
    """What cannot be compared, and why."""
    said = []
    for capture, session in ((sides.before, sides.session_before), (sides.now, sides.session_now)):
        if not session.query("select count(*) from statement_store").rows[0][0]:
            said.append(f"{capture.name} holds no statements, so none are compared")
        if capture.kind == "sample":
            full = capture.meta.get("full")
            said.append(
                f"{capture.name} is a sample: its schema and settings are those of {full}"
                if full
                else f"{capture.name} is a sample without a full capture: no schema, no settings"
            )
    names = [
        {name for (name,) in session.query("select database from database where is_captured").rows}
        for session in (sides.session_before, sides.session_now)
    ]
    said += [f"database {name} is in one of the captures only" for name in sorted(names[0] ^ names[1])]
    counted = sides.session_now.query(
        "select count(distinct fingerprint), sum(calls) from statement_span where is_lower_bound"
    ).rows[0]
    if counted[0]:
        said.append(
            f"{counted[0]:,} statements did at least what is said here: counters were reset or evicted in between"
        )
    hidden = sides.session_now.query(
        "select reason, count(*) from unread where table_name in ('relation', 'relation_column', 'relation_index',"
        " 'relation_constraint', 'statement', 'setting') group by reason order by reason"
    ).rows
    said += [f"not read: {reason} ({words.number(count)})" for reason, count in hidden]
    return said
