"""A fortnight that is made up: rows of history for statements that behave as they are told to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from queryfit.evidence.dictionary import tables
from queryfit.evidence.session import Addition, Session, open_session
from queryfit.evidence.store import Store
from queryfit.findings import Finding, Report, identity
from queryfit.report.content import Judgement

BEGIN = datetime(2026, 11, 9)  # noqa: DTZ001 -- evidence is in naive UTC
END = datetime(2026, 11, 23)  # noqa: DTZ001
MIDDLE = datetime(2026, 11, 16)  # noqa: DTZ001
REGRESSION = datetime(2026, 11, 19, 14)  # noqa: DTZ001
GAP = (datetime(2026, 11, 17, 3), datetime(2026, 11, 17, 9))  # noqa: DTZ001
RESET = datetime(2026, 11, 21, 6)  # noqa: DTZ001
DATABASE = "shop"
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a statement runs: calls an hour at the mean of a day, time of a call, and by what it slows down later."""

    fingerprint: str
    calls: float
    mean_ms: float
    slower: float = 1.0
    since: datetime = BEGIN
    until: datetime = END


def spans() -> list[tuple[datetime, datetime, float]]:
    """Hours with their covered seconds; one stretch of six hours without a capture, one hour with a reset."""
    found = []
    at = BEGIN
    while at < END:
        ends = GAP[1] if at == GAP[0] else at + timedelta(hours=1)
        covered = (ends - at).total_seconds() - (600 if at == RESET else 0)
        found.append((at, ends, covered))
        at = ends
    return found


def tide(at: datetime) -> float:
    """How busy an hour is: the night is quiet, and so is Sunday."""
    return (1 + 0.75 * math.sin((at.hour - 9) / 24 * 2 * math.pi)) * (0.6 if at.weekday() == 6 else 1)


def behaved(one: Behaviour, at: datetime, ends: datetime) -> tuple[int, float] | None:
    """Calls and execution time of a statement in a span."""
    if not one.since <= at < one.until:
        return None
    hours = (ends - at).total_seconds() / 3600
    calls = round(one.calls * tide(at) * hours)
    return calls, calls * one.mean_ms * (one.slower if at >= REGRESSION else 1)


def statement_rows(behaviours: Sequence[Behaviour]) -> Rows:
    """The tables `span` and `statement_span`."""
    rows: Rows = {"span": [], "statement_span": []}
    for at, ends, covered in spans():
        captures = 1 if (at, ends) == GAP else 12
        rows["span"].append(
            {"started_at": at, "ended_at": ends, "grain": "hour", "captures": captures, "covered_s": covered,
             "looks": captures}
        )  # fmt: skip
        for one in behaviours:
            done = behaved(one, at, ends)
            if done is None:
                continue
            rows["statement_span"].append(
                {"started_at": at, "ended_at": ends, "database": DATABASE, "fingerprint": one.fingerprint,
                 "calls": done[0], "rows": done[0] * 3, "execution_ms": done[1], "blocks_hit": done[0] * 12,
                 "blocks_read": done[0], "temp_blocks_written": 0, "is_lower_bound": at == RESET}
            )  # fmt: skip
    return rows


def session_rows() -> Rows:
    """Databases and sessions: busier since the regression, with locks at noon."""
    rows: Rows = {"database_span": [], "session_span": []}
    for at, ends, _ in spans():
        busy = tide(at) * (1.6 if at >= REGRESSION else 1)
        most = round(18 + 30 * busy)
        at_hour = {"started_at": at, "ended_at": ends}
        rows["database_span"].append(
            {**at_hour, "database": DATABASE, "commits": 1000, "rollbacks": 3, "blocks_read": 1, "blocks_hit": 1,
             "temp_bytes": 0, "deadlocks": 0, "sessions": 10, "size_bytes": 9_000_000_000, "connections": most - 3,
             "most_connections": most, "age_xids": 1, "age_multixacts": 1, "is_lower_bound": False}
        )  # fmt: skip
        kinds: list[tuple[str, str, str, str | None, str | None, float]] = [
            ("shop_web", "web", "active", None, None, 1.6 * busy),
            ("shop_web", "web", "active", "IO", "DataFileRead", 1.1 * busy),
            ("shop_web", "web", "active", "Lock", "transactionid", 1.5 * busy if at.hour == 12 else 0.05),
            ("shop_reports", "reports", "active", "LWLock", "BufferMapping", 0.2 * busy),
            ("shop_web", "web", "idle", "Client", "ClientRead", 10 + 12 * busy),
            ("shop_admin", "psql", "idle in transaction", "Client", "ClientRead", 0.6),
        ]
        for role, application, state, wait_type, wait_event, mean in kinds:
            rows["session_span"].append(
                {**at_hour, "database": DATABASE, "role": role, "application": application, "state": state,
                 "wait_type": wait_type, "wait_event": wait_event, "samples": 12, "mean_sessions": mean,
                 "most_sessions": math.ceil(mean * 1.7), "longest_transaction_ms": 4000.0 * mean}
            )  # fmt: skip
    return rows


def relation_rows(relations: Mapping[str, tuple[int, float]]) -> list[dict[str, Any]]:
    """`relation_span`: a size in bytes at the begin and what it grows a day, seen whole at midnight."""
    rows = []
    for relation, (size, per_day) in relations.items():
        for at, ends, _ in spans():
            day = (ends - BEGIN).total_seconds() / 86_400
            is_full = ends.hour == 0
            rows.append(
                {"started_at": at, "ended_at": ends, "database": DATABASE, "relation": relation,
                 "sequential_scans": 1, "sequential_rows": 10, "index_scans": 100,
                 "inserted_rows": round(per_day / 2400), "updated_rows": 12, "deleted_rows": 0, "hot_updated_rows": 3,
                 "live_rows": round((size + per_day * day) / 100), "dead_rows": 120,
                 "size_bytes": round(size + per_day * day) if is_full else None,
                 "index_bytes": round((size + per_day * day) * 0.4) if is_full else None, "is_lower_bound": False}
            )  # fmt: skip
    return rows


def index_rows(indexes: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """`index_span`: scans an hour by table and index."""
    return [
        {"started_at": at, "ended_at": ends, "database": DATABASE, "relation": relation, "index": index,
         "scans": round(scans * tide(at)), "read_rows": scans, "is_lower_bound": False}
        for (relation, index), scans in indexes.items()
        for at, ends, _ in spans()
    ]  # fmt: skip


def event(at: datetime, kind: str, subject: str | None = None, **values: Any) -> dict[str, Any]:
    """A row of `server_event`."""
    return {"happened_at": at, "kind": kind, "subject": subject, "database": DATABASE if subject else None, **values}


def change(one: Behaviour, kind: str, **values: Any) -> dict[str, Any]:
    """A row of `statement_change` that says what the behaviour does."""
    calls = one.calls * 24 * 0.94
    return {
        "database": DATABASE,
        "fingerprint": one.fingerprint,
        "change": kind,
        "calls_per_day_before": None if kind == "new" else calls,
        "calls_per_day": calls,
        "mean_ms_before": None if kind == "new" else one.mean_ms,
        "mean_ms": one.mean_ms * one.slower,
        "execution_ms_per_day_before": None if kind == "new" else calls * one.mean_ms,
        "execution_ms_per_day": calls * one.mean_ms * one.slower,
        **values,
    }


def trend(kind: str, subject: str, **values: Any) -> dict[str, Any]:
    """A row of `trend`."""
    row = {
        "kind": kind, "database": DATABASE, "subject": subject, "unit": "values", "first_at": BEGIN, "last_at": END,
        "points": 300, "value": 1.9e9, "per_day": 3.5e6, "per_day_low": 3.2e6, "per_day_high": 4.1e6,
        "limit_value": 2147483647.0, "limit_name": "int4", "days_left": 63.0, "days_left_low": 55.0,
        "days_left_high": 74.0,
    }  # fmt: skip
    return {**row, **values}


LIST = Behaviour("a1", 600, 4.0, slower=9.0)
LOOKUP = Behaviour("b2", 5000, 0.2)
EXPORT = Behaviour("c3", 2, 900.0)
NEW = Behaviour("d4", 40, 20.0, since=REGRESSION)
BEHAVIOURS = (LIST, LOOKUP, EXPORT, NEW)
TEXTS = {
    "a1": "select id, total from orders where customer_id = $1 order by created_at desc limit $2",
    "b2": "select name from customers where id = $1",
    "c3": "select * from orders join order_items on order_items.order_id = orders.id",
    "d4": "update carts set touched_at = now() where id = $1",
}
SERVER = {
    "system_identifier": "7711", "version_number": 180006, "version": "18.6 (Debian)", "provider": "self-hosted",
    "is_standby": False, "is_pooled": False, "captured_at": END, "role": "me", "is_superuser": False,
    "has_monitor": True, "has_read_all_data": True,
}  # fmt: skip


def history() -> Rows:
    """The whole fortnight."""
    return {
        **statement_rows(BEHAVIOURS),
        **session_rows(),
        "relation_span": relation_rows({"public.orders": (9_000_000_000, 70_000_000.0), "public.carts": (8_192, 0.0)}),
        "index_span": index_rows({("public.orders", "public.orders_pkey"): 900, ("public.orders", "public.old"): 0}),
        "server_event": [
            event(GAP[1], "gap", detail="no capture for 6 h"),
            event(RESET, "statements_reset"),
            event(REGRESSION, "index_dropped", "public.orders_customer_id_idx", detail="public.orders"),
            event(datetime(2026, 11, 20, 8), "setting_changed", "work_mem", value_before="4MB", value_now="64MB"),  # noqa: DTZ001
        ],
        "statement_change": [
            change(LIST, "slower", changed_at=REGRESSION, reason="index public.orders_customer_id_idx dropped"),
            change(NEW, "new", changed_at=REGRESSION),
        ],
        "trend": [trend("sequence", "public.orders.id")],
    }


def captured() -> Rows:
    """The newest capture, as far as a report reads it."""
    index = {
        "database": DATABASE, "relation": "public.orders", "index_oid": 1, "access_method": "btree",
        "key_columns": "id", "key_signature": "id", "is_nulls_distinct": True, "is_exclusion": False, "is_valid": True,
        "is_ready": True, "is_replica_identity": False, "is_clustered": False, "has_expressions": False,
        "is_referenced": False, "definition": "create index", "size_bytes": 400_000_000,
    }  # fmt: skip
    node = {
        "plan": "a1/shop/1", "depth": 0, "startup_cost": 0.0, "plan_rows": 10.0, "width_bytes": 8,
        "estimated_loops": 1.0, "is_parallel_aware": False, "is_disabled": False,
    }  # fmt: skip
    return {
        "server": [SERVER],
        "setting": [{"name": "max_connections", "value": "100", "value_number": 100.0}],
        "database": [
            {"database": DATABASE, "is_captured": True, "is_template": False, "allows_connections": True},
        ],
        "statement_text": [
            {"fingerprint": fingerprint, "text": text, "kind": text.partition(" ")[0], "is_truncated": False}
            for fingerprint, text in TEXTS.items()
        ],
        "relation_index": [
            {**index, "index": "public.orders_pkey", "is_unique": True, "is_primary": True},
            {**index, "index": "public.old", "is_unique": False, "is_primary": False, "key_columns": "note"},
        ],
        "plan": [
            {"plan": "a1/shop/1", "database": DATABASE, "fingerprint": "a1", "origin": "generic_plan",
             "total_cost": 1000.0, "plan_rows": 10.0, "document": "[]"},
        ],
        "plan_node": [
            {**node, "node": 0, "node_type": "Limit", "total_cost": 1000.0, "self_cost": 10.0},
            {**node, "node": 1, "parent": 0, "depth": 1, "node_type": "Seq Scan", "relation": "public.orders",
             "total_cost": 990.0, "self_cost": 990.0, "filter": "(customer_id = $1)"},
        ],
    }  # fmt: skip


def opened(folder: Path, rows: Rows | None = None, captured_rows: Rows | None = None) -> Session:
    """A session over a capture that is written to a store in `folder`, with the fortnight or other rows of history."""
    with Store(folder).write("full") as writer:
        writer.meta.update(system_identifier="7711", captured_at=f"{END.isoformat()}+00:00", scope="x")
        held = {**captured(), **(captured_rows or {})}
        for table in tables().values():
            if table.derivation is None and table.capture in {"full", "sample"}:
                writer.add(table.name, held.get(table.name, []))
    assert writer.committed
    made = rows if rows is not None else history()
    return open_session(writer.committed, Addition({name: [_plain(row) for row in of] for name, of in made.items()}))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat(sep=" ") if isinstance(value, datetime) else value for name, value in row.items()}


def finding(rule: str = "missing-index", **values: Any) -> Finding:
    """A finding; what it leaves out is as plain as can be."""
    subject = values.get("subject", "public.orders (customer_id)")
    plain: dict[str, Any] = {
        "id": identity(rule, "7711", DATABASE, subject), "rule": rule, "group": "workload", "title": "Missing index",
        "database": DATABASE, "subject": subject, "severity": "warning", "proof": "planned",
        "message": "4,000 calls read the whole of public.orders.", "undo": None,
        "fix": "create index concurrently orders_customer_id_idx on public.orders (customer_id);",
        "impact_ms_per_day": 1_800_000.0, "impact_low_ms_per_day": 900_000.0, "is_urgent": False, "file": None,
        "line": None, "evidence": {"fingerprint": "a1"}, "state": "new",
    }  # fmt: skip
    return Finding(**{**plain, **values})


def judgement(*findings: Finding, **values: Any) -> Judgement:
    """What the judge found."""
    report = Report(
        server=None, files=None, window=None, findings=findings, not_checked=values.pop("not_checked", ()),
        captured_ms_per_day=9_000_000.0, rules_run=100,
    )  # fmt: skip
    return Judgement(report, END, MIDDLE, **values)
