"""Why a statement became slower or faster, as far as the evidence tells."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from queryfit import words
from queryfit.errors import QueryfitError
from queryfit.history.chain import captured_at
from queryfit.history.changes import FACTOR, Change
from queryfit.history.plan_changes import Plan, StatementKey, bare, difference, plans_of
from queryfit.history.reading import read_files

if TYPE_CHECKING:
    from queryfit.evidence.engine import duckdb
    from queryfit.evidence.store import Capture

_SLACK = timedelta(hours=2)  # what spans and captures may be apart in telling when something happened
_WINDOW = timedelta(days=1)  # where no full capture bounds it: what happened later is another story
_MISJUDGED = 3.0  # an estimate that moved by less seldom changes a plan
_SPILLED_BLOCKS = 1.0  # temporary blocks a call: less is rounding
_READ_SHARE = 0.1  # more of the blocks come from elsewhere than shared buffers, as a share of all
# settings that a planner or an executor reads; `enable_…` and `jit…` by their beginning
_PLAN_SETTINGS = frozenset(
    {
        "constraint_exclusion",
        "cpu_index_tuple_cost",
        "cpu_operator_cost",
        "cpu_tuple_cost",
        "cursor_tuple_fraction",
        "default_statistics_target",
        "effective_cache_size",
        "effective_io_concurrency",
        "from_collapse_limit",
        "geqo",
        "hash_mem_multiplier",
        "jit",
        "join_collapse_limit",
        "max_parallel_workers",
        "max_parallel_workers_per_gather",
        "min_parallel_index_scan_size",
        "min_parallel_table_scan_size",
        "parallel_setup_cost",
        "parallel_tuple_cost",
        "plan_cache_mode",
        "random_page_cost",
        "seq_page_cost",
        "shared_buffers",
        "work_mem",
    }
)
_SEARCHED = ("equality", "range", "join", "order", "pattern", "group", "distinct", "in_subquery", "null_test")


@dataclass(frozen=True, slots=True)
class Reason:
    """What lies behind a change; `definition` is the CREATE INDEX of an index."""

    kind: str
    words: str
    subject: str | None = None
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class _Index:
    relation: str
    leading: str | None
    definition: str


class _Full:
    """What a full capture says of plans and indexes; read when it is first asked for."""

    def __init__(self, raw: duckdb.DuckDBPyConnection, capture: Capture) -> None:
        self._raw = raw
        self._capture = capture
        self.at = captured_at(capture)

    @cached_property
    def plans(self) -> Mapping[StatementKey, Plan]:
        with suppress(QueryfitError):  # a damaged capture is told by whoever lists them
            return plans_of(self._raw, self._capture)
        return {}

    @cached_property
    def indexes(self) -> Mapping[tuple[str, str], _Index]:
        return {
            (database, index): _Index(relation, str(keys).partition(",")[0].strip(), definition)
            for database, index, relation, keys, definition in self._rows(
                "relation_index", "database", "index", "relation", "key_columns", "definition"
            )
        }

    def indexes_in(self, database: str) -> dict[str, _Index]:
        return {name: entry for (place, name), entry in self.indexes.items() if place == database}

    def _rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        with suppress(QueryfitError):
            path = self._capture.files().get(table)
            return [row[1:] for row in read_files(self._raw, table, columns, [str(path)])] if path else []
        return []


@dataclass(frozen=True, slots=True)
class _Around:
    """The full captures before and after a change, and what they say of the statement's plan."""

    before: _Full | None
    after: _Full | None
    plan_before: Plan | None
    plan_now: Plan | None
    moved: str | None  # what differs between the two


def explain(raw: duckdb.DuckDBPyConnection, changes: Sequence[Change], fulls: Sequence[Capture]) -> list[Change]:
    """The changes with their plans before and now and the reason that the evidence shows; null where it shows none.

    The connection holds `span`, `reference`, `server_event` and `relation_span`; `fulls` are the full captures of the
    history, oldest first.
    """
    known = _Evidence(raw, [_Full(raw, capture) for capture in fulls])
    return [known.explained(change) if change.change in {"slower", "faster"} else change for change in changes]


class _Evidence:
    """What the reasons of all changes are read from."""

    def __init__(self, raw: duckdb.DuckDBPyConnection, fulls: Sequence[_Full]) -> None:
        self._raw = raw
        self._fulls = fulls
        self._times = [full.at for full in fulls]
        self._reads: dict[StatementKey, dict[str, set[str]]] = {}
        for database, fingerprint, relation, column, role in raw.execute(
            "select distinct database, fingerprint, relation, column_name, role from reference"
        ).fetchall():
            columns = self._reads.setdefault((database, fingerprint), {}).setdefault(relation, set())
            if role in _SEARCHED:
                columns.add(column)
        self._spans = raw.execute("select started_at, ended_at from span order by started_at").fetchall()
        self._events = raw.execute(
            "select happened_at, kind, database, subject, value_before, value_now from server_event"
            " order by happened_at, kind, subject"
        ).fetchall()

    def explained(self, change: Change) -> Change:
        around = self._around(change)
        found = next(self._reasons(change, around), None)
        change = replace(
            change,
            plan_before=around.plan_before.shape if around.plan_before else None,
            plan_now=around.plan_now.shape if around.plan_now else None,
        )
        if found is None:
            return change
        return replace(
            change,
            reason=f"{found.words}; {around.moved}" if around.moved and found.kind != "plan" else found.words,
            reason_kind=found.kind,
            reason_subject=found.subject,
            reason_definition=found.definition,
        )

    def _around(self, change: Change) -> _Around:
        before, after = self._before(change.changed_at), self._after(change.changed_at)
        plan_before = before.plans.get(change.key) if before else None
        plan_now = after.plans.get(change.key) if after else None
        moved = difference(plan_before, plan_now) if plan_before and plan_now else None
        return _Around(before, after, plan_before, plan_now, moved)

    def _before(self, at: datetime | None) -> _Full | None:
        """The last full capture before a moment; without a moment the first there is."""
        place = bisect_right(self._times, at) - 1 if at else 0
        return self._fulls[place] if 0 <= place < len(self._fulls) else None

    def _after(self, at: datetime | None) -> _Full | None:
        """The first full capture after the span in which it changed: one at its beginning, or in it, may be before."""
        if at is None:
            place = len(self._times) - 1
        else:
            span = bisect_right(self._spans, at, key=lambda one: one[0]) - 1
            end = self._spans[span][1] if span >= 0 else at
            place = bisect_left(self._times, end) if end > at else bisect_right(self._times, at)
        return self._fulls[place] if 0 <= place < len(self._fulls) else None

    def _reasons(self, change: Change, around: _Around) -> Iterator[Reason]:
        """What may lie behind the change, the surest first."""
        yield from self._indexes(change, around)
        yield from self._settings(change, around.after)
        yield from _more_rows(change)
        yield from self._growth(change)
        yield from _estimates(around)
        if around.moved:
            yield Reason("plan", f"another plan: {around.moved}")
        yield from _spill(change)
        yield from _cache(change)

    def _indexes(self, change: Change, around: _Around) -> Iterator[Reason]:
        """Indexes that came or went and that it used, or, where no plan tells, could search."""
        reads = self._reads.get(change.key, {})
        was, now = (full.indexes_in(change.database) if full else {} for full in (around.before, around.after))
        dropped = self._event_subjects(change, around.after, "index_dropped")
        added = self._event_subjects(change, around.after, "index_added")
        if around.before and around.after and around.before is not around.after:
            dropped |= was.keys() - now.keys()
            added |= now.keys() - was.keys()

        def serves(entry: _Index | None, name: str, plan: Plan | None) -> bool:
            if plan is not None:
                return bare(name) in plan.indexes
            return entry is not None and entry.leading in reads.get(entry.relation, ())

        ways: tuple[tuple[str, set[str], Mapping[str, _Index], Plan | None, str], ...] = (
            ("index_dropped", dropped - now.keys(), was, around.plan_before, "dropped"),
            ("index_added", added, now, around.plan_now, "added"),
        )
        for kind, names, entries, plan, said in ways if change.change == "slower" else ways[::-1]:
            for name in sorted(names):
                entry = entries.get(name)
                if serves(entry, name, plan):
                    yield Reason(kind, f"index {name} {said}", name, entry.definition if entry else None)

    def _event_subjects(self, change: Change, after: _Full | None, kind: str) -> set[str]:
        return {
            subject
            for at, name, database, subject, *_ in self._events
            if name == kind and subject and database in {None, change.database} and self._is_near(at, change, after)
        }

    def _is_near(self, at: datetime, change: Change, after: _Full | None) -> bool:
        """Whether it happened when the change began; what only full captures see is told by the next of them."""
        if change.changed_at is None:
            return True
        until = after.at if after else change.changed_at + _WINDOW
        return change.changed_at - _SLACK <= at <= max(until, change.changed_at) + _SLACK

    def _settings(self, change: Change, after: _Full | None) -> Iterator[Reason]:
        for at, kind, _, subject, value_before, value_now in self._events:
            if kind != "setting_changed" or not self._is_near(at, change, after):
                continue
            name = str(subject)
            if name in _PLAN_SETTINGS or name.startswith(("enable_", "jit_")):
                yield Reason("setting_changed", f"{name} changed from {value_before} to {value_now}", name)

    def _growth(self, change: Change) -> Iterator[Reason]:
        """Tables that it reads and that grew, or shrank, by a material factor around the change."""
        rows = self._raw.execute(
            """
            select
                relation,
                arg_max(live_rows, ended_at) filter (where $at is null or ended_at <= $at - interval 2 hour),
                arg_max(live_rows, ended_at) filter (where $at is null or ended_at <= $at + interval 1 day),
                arg_min(live_rows, ended_at)
            from relation_span
            where database = $database and relation in (select unnest($relations)) and live_rows > 0
            group by relation
            order by relation
            """,
            {
                "at": change.changed_at,
                "database": change.database,
                "relations": list(self._reads.get(change.key, ())),
            },
        ).fetchall()
        for relation, until_then, later, first in rows:
            was = until_then if change.changed_at else first
            if not was or not later:
                continue
            factor = later / was
            if change.change == "slower" and factor >= FACTOR:
                yield Reason("table_grew", f"{relation} grew {_times(factor)}, to {words.number(later)} rows", relation)
            elif change.change == "faster" and factor <= 1 / FACTOR:
                yield Reason("table_grew", f"{relation} shrank to {words.number(later)} rows", relation)


def _more_rows(change: Change) -> Iterator[Reason]:
    """As many more rows as time: it is asked for more."""
    if not change.rows_per_call or not change.rows_per_call_before or not change.mean_ms or not change.mean_ms_before:
        return
    rows, time = change.rows_per_call / change.rows_per_call_before, change.mean_ms / change.mean_ms_before
    if change.change == "slower" and rows >= max(FACTOR, time / 2):
        yield Reason("rows", f"a call returns or changes {_times(rows)} the rows")
    if change.change == "faster" and rows <= min(1 / FACTOR, time * 2):
        yield Reason("rows", f"a call returns or changes {words.percent(rows)} of the rows")


def _estimates(around: _Around) -> Iterator[Reason]:
    if not (around.plan_before and around.plan_now and around.moved):
        return
    for place, was in around.plan_before.estimates.items():
        now = around.plan_now.estimates.get(place)
        if now is not None and max((now + 1) / (was + 1), (was + 1) / (now + 1)) >= _MISJUDGED:
            said = f"the planner expects {words.number(now)} rows of {place}, {words.number(was)} before"
            yield Reason("statistics", said, place)


def _spill(change: Change) -> Iterator[Reason]:
    was, now = change.temp_blocks_per_call_before or 0, change.temp_blocks_per_call or 0
    if change.change == "slower" and now >= max(_SPILLED_BLOCKS, FACTOR * was):
        yield Reason(
            "spill", f"a call writes {words.size(now * 8192)} of temporary files, {words.size(was * 8192)} before"
        )


def _cache(change: Change) -> Iterator[Reason]:
    was, now = change.read_share_before, change.read_share
    if was is None or now is None:
        return
    if (now - was if change.change == "slower" else was - now) >= _READ_SHARE:
        yield Reason(
            "cache", f"{words.percent(now)} of its blocks are read into shared buffers, {words.percent(was)} before"
        )


def _times(factor: float) -> str:
    return f"{words.number(factor)} times"
