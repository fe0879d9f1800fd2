"""Old captures merged by hour and by day, so that a store stays small and nothing is lost that a report needs.

A day of captures becomes one folder, a period, that names what it holds. It is committed by one rename; only then are
the captures removed. A reader takes what a period holds from the period alone, so whatever stops this work in between
loses nothing and counts nothing twice; what is left over is removed by the next run.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from queryfit.errors import QueryfitError
from queryfit.evidence.engine import duckdb
from queryfit.evidence.guarding import alone, tidying
from queryfit.evidence.store import PERIOD, Store, Unusable, publish, seal
from queryfit.history.chain import Link, Scope, counting, day_of, scopes_of
from queryfit.history.events import usual_interval
from queryfit.history.holding import Held, hold
from queryfit.history.keeping import Keep, removable
from queryfit.history.periods import Period, not_covered, size_of
from queryfit.history.reading import engine, quoted
from queryfit.history.schema_events import name_indexes
from queryfit.history.series import Series
from queryfit.history.tables import NAMES, Grain
from queryfit.history.texts import fingerprints, where_seen, write_texts

_PATIENCE_S = 10.0  # a reader takes seconds; what it keeps from being removed is removed by the next run
_ENOUGH_ROUNDS = 10_000
Progress = Callable[[str], None]


@dataclass(slots=True)
class Merged:
    """What was merged for one scope: days of captures, and days that were kept in hours before."""

    system_identifier: str
    label: str
    days: int = 0
    captures: int = 0
    days_of_hours: int = 0
    dropped_days: int = 0
    removed_captures: int = 0


@dataclass(slots=True)
class Compaction:
    """What a run did, or would do. `is_busy`: another run is at work, so nothing was done."""

    merged: list[Merged] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bytes_before: int = 0
    bytes_after: int = 0
    is_busy: bool = False
    is_dry: bool = False


def compact(
    store: Store, keep: Keep, *, now: datetime, is_dry: bool = False, progress: Progress = lambda _: None
) -> Compaction:
    """Merge what is older than `keep` says, seen from `now` (aware), and remove what was merged. Raises QueryfitError.

    What cannot be read is named, and never removed.
    """
    result = Compaction(is_dry=is_dry)
    if not store.servers():
        raise QueryfitError(f"there is no capture in {store.folder}", hint="take one: `queryfit capture`")
    moment = now.astimezone(UTC).replace(tzinfo=None)
    with tidying(store.folder) as is_mine:
        result.is_busy = not is_mine
        if not is_mine:
            return result
        for server in store.servers():
            result.bytes_before += _bytes(store, server)
            captures, unusable = store.captures(server)
            result.unusable += unusable
            for scope in scopes_of(server, captures):
                _Work(store, scope, keep, moment, result, progress).run()
            result.bytes_after += _bytes(store, server)
    result.unusable = list({entry.folder: entry for entry in result.unusable}.values())
    return result


def _bytes(store: Store, server: str) -> int:
    return sum(size_of(folder) for folder in (store.folder / server).iterdir() if folder.is_dir())


@dataclass(slots=True)
class _Work:
    """The work on one scope."""

    store: Store
    scope: Scope
    keep: Keep
    now: datetime
    result: Compaction
    progress: Progress

    def run(self) -> None:
        merged = Merged(self.scope.system_identifier, self.scope.label)
        held = self._hold()
        self.result.unusable += held.unusable
        swallowed = {name for period in held.periods for name in period.swallowed}
        segments = list(self._to_merge(held))
        for names in [segment.swallowed for segment in segments] if self.result.is_dry else self._merge(held, segments):
            merged.days += 1
            merged.captures += len(names)
            swallowed |= names
        if not self.result.is_dry:
            held = self._hold()
        merged.days_of_hours, merged.dropped_days = self._age(held)
        if not self.result.is_dry:
            held = self._hold()
        gone = removable(held, frozenset(swallowed), self._pinned(), self.now)
        merged.removed_captures = len(gone)
        if not self.result.is_dry:
            merged.removed_captures = self._remove([entry.capture.folder for entry in gone])
            self._bound(merged)
        if merged.days or merged.days_of_hours or merged.dropped_days or merged.removed_captures:
            self.result.merged.append(merged)

    def _hold(self) -> Held:
        return hold(self.store, self.scope.system_identifier, self.scope.scope)

    def _to_merge(self, held: Held) -> Iterator[_Segment]:
        """Stretches of captures of one day each that no period holds, old enough to be merged."""
        stretch = not_covered(counting(held.links), held.periods)
        part: list[Link] = []
        day = None
        for entry in stretch.links:
            is_base = entry.capture.name in stretch.bases
            if not is_base and self.keep.is_raw(day_of(entry.at).date(), self.now):
                break
            if part and (is_base or day_of(entry.at) != day):
                if len(part) > 1:
                    yield self._segment(held, part)
                part = [] if is_base else part[-1:]
            part.append(entry)
            day = day_of(entry.at)
        if len(part) > 1:
            yield self._segment(held, part)

    def _segment(self, held: Held, links: Sequence[Link]) -> _Segment:
        started_at, ended_at = links[0].at, links[-1].at
        within = [entry for entry in held.links if started_at < entry.at <= ended_at]
        return _Segment(links, frozenset(entry.capture.name for entry in within if self._is_whole(entry)))

    def _is_whole(self, entry: Link) -> bool:
        try:
            entry.capture.check(entry.capture.meta["tables"])
        except QueryfitError as error:
            self.result.unusable.append(Unusable(entry.capture.folder, error.message))
            return False
        return True

    def _merge(self, held: Held, segments: Sequence[_Segment]) -> list[frozenset[str]]:
        """Write a period for each of the segments; return the captures that each holds."""
        if not segments:
            return []
        written = []
        fulls = [entry for entry in held.links if entry.is_full]
        usual = usual_interval(not_covered(counting(held.links), held.periods).links)
        with self.store.incoming() as scratch, engine(scratch) as raw:
            series = Series(raw, "hour", usual=usual, fulls=fulls)
            known: dict[tuple[int, int], set[str]] = {}
            last: Link | None = None
            for segment in segments:
                day = day_of(segment.links[-1].at)
                self.progress(f"compact: {self.scope.label}, {day:%Y-%m-%d}")
                first, *rest = segment.links
                begins = [] if first is last else [first]
                steps = len(series.steps)
                series.take([*begins, *rest], bases=frozenset(entry.capture.name for entry in begins))
                last = segment.links[-1]
                taken = series.steps[steps:]
                if taken:
                    name_indexes(raw, fulls)
                    bad = {entry.folder.name for entry in series.unusable}
                    span = (min(step.before.at for step in taken), max(step.now.at for step in taken))
                    month = (day.year, day.month)
                    if month not in known:
                        known[month] = fingerprints(raw, self._texts_of(held, month))
                    written.append(segment.swallowed - bad)
                    texts = (where_seen(series), known[month])
                    self._write(series, span=span, grain="hour", swallowed=written[-1], replaces=(), texts=texts)
                series.clear()
            self.result.unusable += series.unusable
        return written

    def _texts_of(self, held: Held, month: tuple[int, int]) -> list[Path]:
        periods = [period for period in held.periods if (period.day.year, period.day.month) == month]
        return [path for period in periods if (path := period.capture.file("statement_text")) is not None]

    def _write(
        self,
        series: Series,
        *,
        span: tuple[datetime, datetime],
        grain: Grain,
        swallowed: Iterable[str],
        replaces: Sequence[str],
        texts: tuple[Sequence[Path | None], set[str]],
    ) -> None:
        """Commit what the series holds as a period."""
        series.drop_idle(keeps_doubt=True)
        with self.store.incoming() as folder, _disk_told():
            facts: dict[str, dict[str, int]] = {}
            write_texts(series.raw, folder / "statement_text.parquet", *texts)
            for name in NAMES:
                path = folder / f"{name}.parquet"
                order = "order by all" if name != "server_event" else "order by happened_at"
                series.raw.execute(
                    f"copy (from out_{name} {order}) to {quoted(path)} (format parquet, compression zstd)"
                )
            for name in (*NAMES, "statement_text"):
                path = folder / f"{name}.parquet"
                (rows,) = series.raw.execute(f"select count(*) from read_parquet({quoted(path)})").fetchone() or (0,)
                facts[name] = {"rows": rows, **seal(path)}
            meta = {
                "kind": PERIOD,
                "system_identifier": self.scope.system_identifier,
                "scope": self.scope.scope,
                "captured_at": span[1].replace(tzinfo=UTC).isoformat(),
                "started_at": span[0].isoformat(),
                "ended_at": span[1].isoformat(),
                "grain": grain,
                "swallowed": sorted(swallowed),
                "replaces": list(replaces),
                "tables": facts,
            }
            publish(self.store.folder, folder, f"period-{day_of(span[1]):%Y%m%d}-{folder.name[:6]}", meta)

    def _age(self, held: Held) -> tuple[int, int]:
        """Merge hours that are old to days, and drop days that are older; return how many of each."""
        dropped = [period for period in held.periods if not self.keep.is_daily(period.day, self.now)]
        names = {period.name for period in dropped}
        coarse = [
            period
            for period in held.periods
            if period.name not in names and period.grain == "hour" and not self.keep.is_hourly(period.day, self.now)
        ]
        replaced = self._replaced()
        if not self.result.is_dry:
            for period in coarse:
                self._coarsen(period)
                replaced.append(period.capture.folder)
            self._remove([*replaced, *(period.capture.folder for period in dropped)])
        return len(coarse), len(dropped)

    def _replaced(self) -> list[Path]:
        """Periods that a killed run left although others replaced them."""
        folders, _ = self.store.folders(self.scope.system_identifier)
        there = {folder.name: folder.folder for folder in folders if folder.kind == PERIOD}
        replaced: list[Path] = []
        for period in self._hold().periods:
            replaced += [there[name] for name in period.replaces if name in there]
        return replaced

    def _coarsen(self, period: Period) -> None:
        with self.store.incoming() as scratch, engine(scratch) as raw:
            series = Series(raw, "day")
            bad = series.take_periods([period], datetime.min, datetime.max)  # noqa: DTZ901 -- all of it, naive UTC
            if bad:
                self.result.unusable.append(Unusable(period.capture.folder, bad[period.name]))
                return
            server = self.store.folder / self.scope.system_identifier
            there = [name for name in period.swallowed if (server / name).is_dir()]
            texts: tuple[list[Path | None], set[str]] = ([period.capture.file("statement_text")], set())
            span = (period.started_at, period.ended_at)
            self._write(series, span=span, grain="day", swallowed=there, replaces=[period.name], texts=texts)

    def _remove(self, folders: Sequence[Path]) -> int:
        if not folders:
            return 0
        with alone(self.store.folder, patience_s=_PATIENCE_S) as is_alone:
            if is_alone:
                return self.store.remove(folders)
        self.result.notes.append(
            f"{len(folders)} folders that were merged are in use; the next run removes them, and nothing counts twice"
        )
        return 0

    def _pinned(self) -> frozenset[str]:
        """Captures that other files of the server's folder name: the last audit, remembered advice."""
        names: set[str] = set()
        for path in (self.store.folder / self.scope.system_identifier).glob("*.json"):
            try:
                names |= set(re.findall(r"\d{8}T\d{6}Z-[0-9a-f]{6}", path.read_text(encoding="utf-8")))
            except (OSError, ValueError):
                continue
        return frozenset(names)

    def _bound(self, merged: Merged) -> None:
        """Keep the server's folder under `most_bytes`: the oldest hours become days, then the oldest days go."""
        most = self.keep.most_bytes
        if most is None:
            return
        for _ in range(_ENOUGH_ROUNDS):
            if _bytes(self.store, self.scope.system_identifier) <= most:
                return
            periods = self._hold().periods
            hourly = next((period for period in periods if period.grain == "hour"), None)
            oldest = hourly or next(iter(periods), None)
            if oldest is None:
                break
            if hourly:
                self._coarsen(hourly)
                merged.days_of_hours += 1
            else:
                merged.dropped_days += 1
            if not self._remove([oldest.capture.folder]):
                return
        self.result.notes.append(
            f"{self.scope.label} takes more than {most:,} bytes in single captures alone; keep fewer days of them"
        )


@dataclass(frozen=True, slots=True)
class _Segment:
    """Captures of one day, after the one that the first of them stands on, and the names of all that it holds."""

    links: Sequence[Link]
    swallowed: frozenset[str]


@contextmanager
def _disk_told() -> Iterator[None]:
    """What DuckDB cannot write is an OSError, as where Python writes: the store says what is wrong with the disk."""
    try:
        yield
    except duckdb.IOException as error:
        said = str(error)
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            if os.strerror(number) in said:
                raise OSError(number, os.strerror(number)) from None
        raise OSError(said.splitlines()[0]) from None
