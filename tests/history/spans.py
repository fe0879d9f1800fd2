"""History tables written by hand: what a history would hold, without captures behind it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from queryfit.evidence.dictionary import tables
from queryfit.evidence.engine import duckdb
from queryfit.evidence.session import with_neutral_values

START = datetime(2026, 1, 5)  # noqa: DTZ001 -- evidence is in naive UTC; a Monday
Row = dict[str, Any]


class Spans:
    """A connection with all evidence tables, and hours one after the other to put rows into."""

    def __init__(self, hours: int, *, every: int = 1) -> None:
        self.raw = duckdb.connect()
        for table in tables().values():
            self.raw.execute(with_neutral_values(table))
        for name in ("span", "statement_span", "server_event"):
            self.raw.execute(f"create view whole_{name} as from {name}")
        self.hours = range(0, hours, every)
        self.every = every
        self.add(
            "span",
            ({"started_at": a, "ended_at": b, "covered_s": every * 3600.0} for a, b in map(self.ends, self.hours)),
        )

    def ends(self, hour: int) -> tuple[datetime, datetime]:
        return START + timedelta(hours=hour), START + timedelta(hours=hour + self.every)

    def add(self, table: str, rows: Iterable[Row]) -> None:
        listed = list(rows)
        if not listed:
            return
        names = list(listed[0])
        for start in range(0, len(listed), 300):
            part = listed[start : start + 300]
            marks = ", ".join(f"({', '.join('?' * len(names))})" for _ in part)
            self.raw.execute(
                f"insert into {table} ({', '.join(names)}) values {marks}",
                [row[name] for row in part for name in names],
            )

    def gauge(self, table: str, rows: Iterable[tuple[int, Row]]) -> None:
        """Rows of a span table, each with the hour in which its span begins."""
        self.add(table, ({"started_at": a, "ended_at": b, **row} for hour, row in rows for a, b in [self.ends(hour)]))

    def statement(self, fingerprint: str, rows: Iterable[tuple[int, Row]], *, is_held: bool = True) -> None:
        """A statement with what it did, hour by hour: calls, mean_ms, blocks (a call)."""
        self.add("statement_text", [{"fingerprint": fingerprint, "text": f"select {fingerprint}", "kind": "select"}])
        if is_held:
            self.add("statement", [{"fingerprint": fingerprint}])
        self.gauge(
            "statement_span",
            (
                (
                    hour,
                    {
                        "fingerprint": fingerprint,
                        "calls": row["calls"],
                        "rows": row.get("rows", 1) * row["calls"],
                        "execution_ms": row["calls"] * row.get("mean_ms", 1.0),
                        "blocks_hit": int(row["calls"] * row.get("blocks", 10)),
                        "is_lower_bound": row.get("is_lower_bound", False),
                    },
                )
                for hour, row in rows
                if row["calls"]
            ),
        )

    def event(self, kind: str, hour: float, **columns: Any) -> None:
        self.add("server_event", [{"kind": kind, "happened_at": START + timedelta(hours=hour), **columns}])
