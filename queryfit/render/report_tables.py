"""The tables of a report, in words: page, Markdown and mail give them their form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from queryfit import words
from queryfit.findings import Finding
from queryfit.render import phrases
from queryfit.render import report_phrases as say
from queryfit.render.escape import line
from queryfit.report.model import Content, IndexUse, Statement, TableGrowth, Timeline

MOST_TEXT = 160
MOST_SHORT = 20
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in words; `order` is what its column is sorted by, `values` draw a line, `link` is an anchor."""

    text: str
    order: float | str | None = None
    is_code: bool = False
    note: str = ""
    tone: str = ""
    values: Values | None = None
    link: str = ""

    @property
    def is_short(self) -> bool:
        """Better not broken into two lines."""
        return len(self.text) <= MOST_SHORT


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under columns; `numbers` are the columns that are aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        return bool(self.rows)

    def first(self, most: int) -> Table:
        """The table with at most so many rows."""
        return Table(self.columns, self.rows[:most], self.numbers)


def _table(columns: str, rows: Iterable[Sequence[Cell]]) -> Table:
    """`columns` are parted by commas; one that begins with `#` holds numbers."""
    names = [name.strip() for name in columns.split(",")]
    numbers = frozenset(place for place, name in enumerate(names) if name.startswith("#"))
    return Table([name.removeprefix("#") for name in names], list(rows), numbers)


def _number(value: float | None, text: str) -> Cell:
    return Cell(text if value is not None else "?", -1.0 if value is None else value)


def _code(text: str, most: int = MOST_TEXT, note: str = "") -> Cell:
    short = line(text, most)
    return Cell(short, short.lower(), is_code=True, note=note)


def _order(at: datetime) -> float:
    return (at - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 -- evidence is in naive UTC


def statements(content: Content) -> Table:
    """The statements that took the most time."""
    return _table(
        "#, statement, #time/day, #share, #change, #calls/day, #mean, #blocks/call, course",
        (_statement(entry) for entry in content.statements),
    )


def _statement(entry: Statement) -> list[Cell]:
    least = "≥ " if entry.is_lower_bound else ""
    blocks = entry.blocks_per_call
    return [
        Cell(f"{entry.rank}", entry.rank),
        Cell(say.statement(entry.text, MOST_TEXT), entry.text.lower()[:80], is_code=True),
        _number(entry.execution_ms_per_day, f"{least}{words.duration(entry.execution_ms_per_day)}"),
        _number(entry.time_share, phrases.share(entry.time_share, 1.0) or "0 %"),
        change_of(entry),
        _number(entry.calls_per_day, words.number(entry.calls_per_day)),
        _number(entry.mean_ms, words.duration(entry.mean_ms or 0)),
        _number(blocks, words.number(blocks or 0)),
        Cell(_course(entry.trend), values=entry.trend),
    ]


def change_of(entry: Statement) -> Cell:
    """How the statement's time a day moved against the period before."""
    if entry.before is None:
        return Cell("new" if entry.change is not None and entry.change.change == "new" else "", 1e9)
    moved = (
        entry.execution_ms_per_day / entry.before.execution_ms_per_day - 1 if entry.before.execution_ms_per_day else 0
    )
    tone = "bad" if moved >= 0.2 else "good" if moved <= -0.2 else ""  # noqa: PLR2004 -- less is weather
    return Cell(say.signed(moved) if moved < 9.995 else f"× {moved + 1:,.0f}", moved, tone=tone)  # noqa: PLR2004


def _course(values: Values) -> str:
    """A line's text alternative."""
    known = [value for value in values if value is not None]
    if not known:
        return "not followed"
    return (
        f"from {words.duration(known[0])} to {words.duration(known[-1])} an hour, {words.duration(max(known))} at most"
    )


def changes(content: Content) -> Table:
    """Statements whose behaviour changed."""
    ranks = {entry.key: entry.rank for entry in content.statements}
    rows = []
    for entry in content.changes:
        rank = ranks.get((entry.database, entry.fingerprint))
        tone = {"slower": "bad", "faster": "good"}.get(entry.change, "")
        reason = line(entry.reason, 300) if entry.reason else ""
        rows.append(
            [
                Cell(
                    say.statement(entry.text, MOST_TEXT), entry.text.lower()[:80], is_code=True, note=reason,
                    link=f"s{rank}" if rank else "",
                ),
                Cell(say.effect(entry), entry.change, tone=tone),
                Cell(say.moment(entry.changed_at), _order(entry.changed_at) if entry.changed_at else 0.0),
                Cell(_from_to(entry.mean_ms_before, entry.mean_ms), entry.mean_ms),
                _number(entry.added_ms_per_day, say.added(entry)),
            ]
        )  # fmt: skip
    return _table("statement, change, since, #mean, #time/day", rows)


def _from_to(before: float | None, now: float | None) -> str:
    if before is None or now is None:
        return words.duration(now if now is not None else before or 0.0)
    return f"{words.duration(before)} → {words.duration(now)}"


def open_findings(findings: Sequence[Finding]) -> Table:
    """Findings in short."""
    return _table(
        "finding, on, #saves/day, proof, state, severity, id",
        (
            [
                Cell(line(entry.title, 120), entry.title.lower()),
                Cell(phrases.subject(entry, 100), entry.subject.lower(), is_code=True),
                Cell(phrases.saving(entry) or phrases.due(entry) or "", entry.impact_ms_per_day or -1.0),
                Cell(entry.proof, entry.proof),
                Cell(entry.state, entry.state),
                Cell("urgent" if entry.is_urgent else entry.severity, phrases.SEVERITIES.index(entry.severity)),
                Cell(entry.id, entry.id, is_code=True),
            ]
            for entry in findings
        ),
    )


def fixed(content: Content) -> Table:
    """Findings that are gone, with what came of them where that is known."""
    outcomes = {outcome.finding: outcome for outcome in content.outcomes}
    rows = []
    for entry in content.findings.fixed:
        outcome = outcomes.get(entry.id)
        saved = say.got(outcome) if outcome else ""
        rows.append(
            [
                Cell(line(entry.title, 120), entry.title.lower(), note=line(entry.why or "", 200)),
                _code(entry.subject, 120),
                Cell(saved, outcome.got_ms_per_day if outcome else None),
            ]
        )
    return _table("finding, on, #saves/day", rows)


def gone(content: Content) -> Table:
    """Findings that are not found any more, without a sign that somebody mended them."""
    return _table(
        "finding, on, since",
        (
            [
                Cell(line(entry.title, 120), entry.title.lower(), note=line(entry.why or "", 200)),
                _code(entry.subject, 120),
                Cell(say.day(entry.fixed_at), _order(entry.fixed_at) if entry.fixed_at else 0.0),
            ]
            for entry in content.findings.gone
        ),
    )


def outcomes(content: Content) -> Table:
    """Advice that was followed: what was predicted and what came."""
    return _table(
        "advice, on, fixed, #predicted/day, #got/day",
        (
            [
                Cell(line(entry.title, 120), entry.title.lower(), note=line(entry.note or "", 200)),
                _code(entry.subject, 120),
                Cell(say.day(entry.fixed_at), _order(entry.fixed_at)),
                Cell(say.per_day(entry.predicted_ms_per_day), entry.predicted_ms_per_day),
                Cell(say.got(entry), entry.got_ms_per_day),
            ]
            for entry in content.outcomes
        ),
    )


def indexes(entries: Sequence[IndexUse]) -> Table:
    """Indexes with their use."""
    return _table("index, on, #size, #scans, #scans before", (_index(entry) for entry in entries))


def _index(entry: IndexUse) -> list[Cell]:
    size, scans, before = entry.size_bytes, entry.scans, entry.scans_before
    return [
        _code(entry.index, 100, note=f"added {say.moment(entry.added_at)}" if entry.added_at else ""),
        _code(f"{entry.relation} ({entry.columns})", 120),
        _number(size, words.size(size or 0)),
        _number(scans, words.number(scans or 0)),
        Cell("" if before is None else words.number(before), before),
    ]


def tables(content: Content) -> Table:
    """Tables that grew or shrank."""
    return _table(
        "table, #grew/day, #size, #indexes, #rows, #inserted, #updated, #deleted, course",
        (_growth(entry) for entry in content.tables),
    )


def _growth(entry: TableGrowth) -> list[Cell]:
    grown = entry.grown_bytes * 86_400 / entry.grown_s if entry.grown_bytes is not None and entry.grown_s else None
    sign = "+" if (grown or 0) > 0 else ""
    least = "≥ " if entry.is_lower_bound else ""
    return [
        _code(entry.relation, 100),
        _number(grown, f"{sign}{words.size(grown or 0)}"),
        _number(entry.size_bytes, words.size(entry.size_bytes or 0)),
        _number(entry.index_bytes, words.size(entry.index_bytes or 0)),
        _number(entry.live_rows, words.number(entry.live_rows or 0)),
        _number(entry.inserted_rows, f"{least}{words.number(entry.inserted_rows)}"),
        _number(entry.updated_rows, f"{least}{words.number(entry.updated_rows)}"),
        _number(entry.deleted_rows, f"{least}{words.number(entry.deleted_rows)}"),
        Cell(_sizes(entry.trend), values=entry.trend),
    ]


def _sizes(values: Values) -> str:
    known = [value for value in values if value is not None]
    return f"from {words.size(known[0])} to {words.size(known[-1])}" if known else "not known"


def waits(content: Content) -> Table:
    """What active sessions waited for."""
    return _table(
        "waiting for, #sessions, #most at once",
        (
            [
                Cell(line(": ".join(filter(None, (entry.wait_type, entry.event))), 80) or "nothing: running"),
                _number(entry.mean_sessions, words.number(entry.mean_sessions)),
                _number(entry.most_sessions, words.number(entry.most_sessions)),
            ]
            for entry in content.sessions.events
        ),
    )


def clients(content: Content) -> Table:
    """Who was connected."""
    return _table(
        "role, application, #sessions, #most at once, #longest transaction",
        (
            [
                _code(entry.role or "unknown", 60),
                Cell(line(entry.application or "", 60)),
                _number(entry.mean_sessions, words.number(entry.mean_sessions)),
                _number(entry.most_sessions, words.number(entry.most_sessions)),
                Cell(
                    "" if entry.longest_transaction_ms is None else words.duration(entry.longest_transaction_ms),
                    entry.longest_transaction_ms or 0,
                ),
            ]
            for entry in content.sessions.clients
        ),
    )


def trends(content: Content) -> Table:
    """Where things are heading."""
    return _table(
        "what, kind, #now, #a day, #limit, reaches it",
        (
            [
                _code("connections" if entry.kind == "connections" else entry.subject, 100),
                Cell(entry.kind.replace("_", " "), entry.kind),
                Cell(say.amount(entry.value, entry.unit), entry.value),
                Cell(("+" if entry.per_day > 0 else "") + say.amount(entry.per_day, entry.unit), entry.per_day),
                Cell(
                    "" if entry.limit_value is None else say.amount(entry.limit_value, entry.unit),
                    entry.limit_value, note=line(entry.limit_name or "", 60),
                ),
                Cell(say.trend_date(entry), entry.days_left if entry.days_left is not None else 1e9),
            ]
            for entry in content.trends
        ),
    )  # fmt: skip


def loops(content: Content) -> Table:
    """N+1: statements that run once for every row of another."""
    return _table(
        "statement, what happens, #saves/day",
        (
            [
                Cell(phrases.subject(entry, MOST_TEXT), is_code=True, link=f"f-{entry.id}"),
                Cell(line(entry.message, 300)),
                Cell(phrases.saving(entry) or "", entry.impact_ms_per_day or -1.0),
            ]
            for entry in content.loops
        ),
    )


def events(content: Content, *, but: AbstractSet[str] = frozenset()) -> Table:
    """What happened to the server, without the kinds in `but`."""
    return _table(
        "when, what",
        (
            [Cell(say.moment(entry.happened_at), _order(entry.happened_at)), Cell(say.event(entry))]
            for entry in content.events
            if entry.kind not in but
        ),
    )


def by_day(timeline: Timeline, names: Sequence[str]) -> Table:
    """A chart as a table: the mean of each series by day, or by step where the chart is of hours."""
    per_row = max(86_400 // timeline.step_s, 1) if timeline.steps * timeline.step_s > 2.5 * 86_400 else 1
    rows = []
    for begin in range(0, timeline.steps, per_row):
        cells = [Cell(_row_name(timeline, begin, per_row), begin)]
        for series in timeline.series:
            known = [value for value in series.values[begin : begin + per_row] if value is not None]
            mean = sum(known) / len(known) if known else None
            cells.append(_number(mean, _value(mean or 0, timeline.unit)))
        rows.append(cells)
    return Table(["from", *names], rows, frozenset(range(1, len(names) + 1)))


def _row_name(timeline: Timeline, step: int, per_row: int) -> str:
    at = timeline.begins + timedelta(seconds=step * timeline.step_s)
    return say.moment(at) if per_row == 1 else f"{at:%a} {at.day} {at:%b}"


def _value(value: float, unit: str) -> str:
    return words.duration(value) if unit == "ms_per_hour" else words.number(value)
