"""Reports that the tests of the renderers share; times are pinned."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from queryfit import fixes
from queryfit.findings import Finding, NotChecked, Past, Report, Window
from queryfit.history.advice.outcomes import Calibration, Outcome, StatementOutcome

ESC, BIDI, BELL = "\x1b", "\u202e", "\x07"
HOSTILE = (
    f"{ESC}[31mred{ESC}]0;title{BELL} {BIDI}txt.exe <script>alert(1)</script>\n::error::owned\r| a `b` \x00 \ud800 $x$"
)


def finding(number: int, rule: str, title: str, subject: str, message: str, **others: Any) -> Finding:
    """A finding with an id made of its number; `facts` are the columns of its rule."""
    facts: Mapping[str, Any] = others.pop("facts", {})
    fix, undo = others.pop("fix", None), others.pop("undo", None)
    return Finding(**{
        "id": f"{number:012x}",
        "rule": rule,
        "group": "schema",
        "title": title,
        "database": "shop",
        "subject": subject,
        "severity": "warning",
        "proof": "inferred",
        "message": message,
        "fix": fixes.made_safe(fix, facts) if fix else None,
        "undo": fixes.made_safe(undo, {}) if undo else None,
        "impact_ms_per_day": None,
        "impact_low_ms_per_day": None,
        "is_urgent": False,
        "file": None,
        "line": None,
        "evidence": {**facts, "also": facts.get("also", [])},
        **others,
    })  # fmt: skip


URGENT = finding(
    1,
    "sequence-near-end",
    "Sequence that is running out of numbers",
    "public.order_item_id_seq",
    "public.order_item_id_seq has used 96 % of its numbers: inserts fail in 5 days; change the column to bigint.",
    severity="error",
    is_urgent=True,
    fix="alter table public.order_item alter column id type bigint;",
    facts={"relation": "public.order_item", "days_left": 5.2, "headroom_fraction": 0.04},
)
INDEX = finding(
    2,
    "missing-index",
    "A statement reads a large table because no index leads with its conditions",
    "public.orders (customer_id, created_at)",
    "41 k calls a day of 180 ms each read public.orders (5.2 M rows) to find about 12 rows: create an index.",
    proof="planned",
    impact_ms_per_day=7.6e6,
    impact_low_ms_per_day=5.1e6,
    past=Past(
        datetime.fromisoformat("2026-01-01 12:00"),
        datetime.fromisoformat("2026-01-01 12:00"),
        is_changed=False,
        fixed_seconds=None,
        seen=7,
        runs=8,
    ),
    fix="create index concurrently orders_customer_id_created_at_idx on public.orders (customer_id, created_at);",
    undo="drop index concurrently public.orders_customer_id_created_at_idx;",
    facts={
        "relation": "public.orders",
        "table_rows": 5_200_000,
        "fix_read_bytes": 5_200_000_000,
        "fix_disk_bytes": 400_000_000,
        "pid": 31517,
        "uncorrected_impact_ms_per_day": 9.5e6,
        "correction_factor": 0.8,
        "correction_outcomes": 6,
        "fingerprint": "0123456789abcdef",
        "statements": [{"fingerprint": "0123456789abcdef", "impact_ms_per_day": 7.6e6, "impact_low_ms_per_day": 5.1e6}],
        "also": [
            {
                "rule": "foreign-key-without-index",
                "subject": "public.orders (customer_id)",
                "severity": "warning",
                "proof": "inferred",
                "message": "Each delete in public.customers reads the whole of public.orders.",
                "evidence": {},
            }
        ],
    },
)
LOOP = finding(
    3,
    "n-plus-one",
    "One statement for every row of another",
    "fingerprint:fedcba9876543210",
    "10 calls follow each call of the statement that lists public.orders; fetch them in one call.",
    impact_ms_per_day=1.2e6,
    impact_low_ms_per_day=9e5,
    state="open",
    facts={
        "text": "select id, product_id, quantity, unit_price\n  from order_items where order_id = $1 and is_sent = $2",
        "last_seen_at": datetime.fromisoformat("2026-01-08 11:59"),
        "odd": [float("nan"), Decimal("1.5"), float("inf"), b"\x01"],
    },
)
WIDE = finding(
    4,
    "duplicate-index",
    "Two indexes that are the same",
    'public."日本語テーブルの長い名前の索引_customer_id_idx"',
    "two indexes; drop one.",
    fix='drop index concurrently public."日本語テーブルの長い名前の索引_customer_id_idx";',
    undo="create index concurrently x on public.t (a);",
    state="back",
    past=Past(
        datetime.fromisoformat("2025-12-01 12:00"),
        datetime.fromisoformat("2026-01-08 12:00"),
        is_changed=True,
        fixed_seconds=1_036_800,
        seen=3,
        runs=30,
    ),
)
EVIL = finding(
    5,
    "hostile",
    f"Title {HOSTILE}",
    f"public.{HOSTILE}",
    f"Message {HOSTILE}",
    severity="info",
    database=f"db {HOSTILE}",
    facts={"relation": HOSTILE, "text": HOSTILE, HOSTILE: HOSTILE},
)
EVIL = replace(EVIL, fix=f"drop table x; -- {HOSTILE}", undo=f"-- {HOSTILE}")
GAPS = (
    NotChecked("missing-index", "public.secret", "its statistics are not readable", "grant pg_read_all_data to me;"),
    NotChecked("stale-statistics", "public.secret", "its statistics are not readable", "grant pg_read_all_data to me;"),
    NotChecked("sort-on-disk", "fingerprint:0123456789abcdef", "not planned: it calls a function of app", None),
    NotChecked("sort-on-disk", "fingerprint:fedcba9876543210", "not planned: it calls a function of app", None),
    NotChecked("replication-slot", None, "pg_replication_slots is not readable", None),
)
OUTCOME = Outcome(
    finding="0000000000cd",
    rule="missing-index",
    title="A statement reads a large table",
    database="shop",
    subject="public.carts (customer_id)",
    proof="planned",
    fixed_at=datetime.fromisoformat("2026-01-06 12:00"),
    status="measured",
    predicted_ms_per_day=1.15e7,
    predicted_low_ms_per_day=9e6,
    uncorrected_ms_per_day=1.15e7,
    got_ms_per_day=1.04e7,
    got_low_ms_per_day=9.7e6,
    got_high_ms_per_day=1.11e7,
    expected_ms_per_day=1.1e7,
    measured_until=datetime.fromisoformat("2026-01-08 12:00"),
    seconds=172_800,
    calls=82_000,
    statements=(
        StatementOutcome("00000000000000aa", 200_000, 82_000, 41_000, 260, 6.3, 12_345.6, 41, 1.1e7, 1.04e7, 7e5),
    ),
)
OUTCOMES = (
    OUTCOME,
    dataclasses.replace(
        OUTCOME,
        finding="0000000000cc",
        subject="public.log (day)",
        status="early",
        got_ms_per_day=None,
        predicted_ms_per_day=4e5,
        statements=(),
        note="too early: 20 min, 3 calls",
    ),
    dataclasses.replace(
        OUTCOME, subject="public.a (b)", got_ms_per_day=-3e5, got_low_ms_per_day=None, got_high_ms_per_day=None
    ),
    dataclasses.replace(OUTCOME, subject="public.a (c)", is_at_least=True, expected_ms_per_day=2e7),
    *(dataclasses.replace(OUTCOME, subject=f"public.b ({name})", status="final") for name in "cdef"),
)
FULL = Report(
    server={
        "system_identifier": "7123456789012345678",
        "version_number": 180001,
        "version": "18.1 (Debian 18.1-1.pgdg120+1)",
        "provider": "self-hosted",
        "is_standby": False,
        "is_pooled": True,
        "started_at": datetime.fromisoformat("2026-01-01"),
        "databases": ["shop", "stats"],
    },
    files=None,
    window=Window(
        datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 8, 12, tzinfo=UTC), 604_800.0, is_extrapolated=False
    ),
    findings=(URGENT, INDEX, LOOP, WIDE),
    not_checked=GAPS,
    suppressed=(replace(WIDE, id="0000000000aa", suppressed_by="a rebuild runs"),
                replace(WIDE, id="0000000000bb", suppressed_by="baseline")),
    fixed=({"id": "0000000000cc", "rule": "no-primary-key", "subject": "public.log", "title": "No primary key",
            "severity": "warning"},),
    notes=("the suppression of x suppresses nothing; remove it",),
    capture="/var/lib/queryfit/7123456789012345678/20260108T120000Z-abcdef",
    cost={"queries": 148, "server_ms": 312.4, "elapsed_ms": 900.0},
    captured_ms_per_day=1.15e7,
    rules_run=61,
    gone=({"id": "0000000000dd", "rule": "missing-index", "subject": "public.log (day)", "title": "A full read",
           "severity": "info", "why": "its statements were not called since"},),
    outcomes=OUTCOMES,
    calibration=Calibration(0.8, 6, 9.1e7, 7.2e7, {"inferred": 0.64}, {"inferred": 4}),
)  # fmt: skip
NO_PAST: dict[str, Any] = {"fixed": (), "gone": (), "outcomes": (), "calibration": None}
CLEAN = replace(FULL, findings=(), not_checked=(), suppressed=(), notes=(), **NO_PAST)
CLEAN_WITH_GAPS = replace(CLEAN, not_checked=GAPS)
UNKNOWN_WINDOW = replace(
    FULL,
    findings=(WIDE,),
    window=Window(None, datetime(2026, 1, 8, 12, tzinfo=UTC), None, is_extrapolated=False),
    captured_ms_per_day=None,
    cost={},
    suppressed=(),
    notes=(),
    **NO_PAST,
)
FILES = Report(
    server=None,
    files=["migrations/1.sql"],
    window=None,
    findings=(replace(INDEX, database=None, file="migrations/1 ä.sql", line=7, impact_ms_per_day=None),),
    not_checked=(),
)
HOSTILE_REPORT = replace(
    FULL,
    server={**(FULL.server or {}), "version": HOSTILE, "provider": HOSTILE, "databases": [HOSTILE]},
    findings=(EVIL,),
    not_checked=(NotChecked(HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
    suppressed=(replace(EVIL, suppressed_by=HOSTILE),),
    fixed=({"id": "0" * 12, "rule": "x", "subject": HOSTILE, "title": HOSTILE, "severity": "info"},),
    notes=(HOSTILE,),
    capture=HOSTILE,
    gone=({"id": "0" * 12, "rule": "x", "subject": HOSTILE, "title": HOSTILE, "severity": "info", "why": HOSTILE},),
    outcomes=(dataclasses.replace(OUTCOME, title=HOSTILE, subject=HOSTILE, database=HOSTILE),
              dataclasses.replace(OUTCOME, title=HOSTILE, subject=HOSTILE, got_ms_per_day=None, note=HOSTILE)),
)  # fmt: skip


def in_file(number: int, rule: str, place: tuple[str, int, int, int, int], message: str, **others: Any) -> Finding:
    """A finding in a file; the place is the file, line and column, end line and end column."""
    file, line, column, end_line, end_column = place
    return replace(
        finding(
            number, rule, rule.replace("-", " ").capitalize(), "public.orders", message, database=None,
            **{"group": "migrations", "severity": "error"} | others
        ),
        file=file, line=line, column=column, end_line=end_line, end_column=end_column,
        fix=others.get("fix"),
    )  # fmt: skip


INDEXES, WIDER, JAPANESE = "db/20260105_indexes.sql", "db/20260107_wider_keys_and_states.sql", "db/日本.sql"
SOURCES = {
    INDEXES: "set lock_timeout = '5s';\ncreate index orders_customer_id_idx on orders (customer_id);\n",
    WIDER: "alter table customers\r\n\talter column id type bigint,\r\n"
    "\tadd constraint customers_region_fk foreign key (region_id) references regions (id) on delete restrict"
    " on update cascade deferrable initially deferred;\r\nupdate customers\r\n   set state = 'old';\r\n",
    JAPANESE: "insert into t values ('日本語テーブル', 1); drop table \"旧テーブル\"; select '\x1b[31m' as red, now();",
}
IN_FILES = (
    in_file(1, "index-not-concurrent", (INDEXES, 2, 1, 2, 61),
            "Writes to public.orders wait while orders_customer_id_idx is built; build it concurrently.",
            fix="create index concurrently orders_customer_id_idx on public.orders (customer_id);"),
    in_file(2, "type-change-rewrites-table", (WIDER, 2, 15, 2, 17),
            "Changing id from integer to bigint writes public.customers anew (41 GB): reads and writes wait for about"
            " 6 min at 120 writes/s. Add a column, fill it in batches, and switch over."),
    in_file(3, "foreign-key-checked-at-once", (WIDER, 3, 2, 3, 147),
            "Adding customers_region_fk reads public.customers whole while writes to it wait.",
            fix="alter table public.customers add constraint customers_region_fk foreign key (region_id) references"
            " public.regions (id) not valid;\nalter table public.customers validate constraint customers_region_fk;"),
    in_file(4, "update-without-where", (WIDER, 4, 1, 5, 22), "The update writes every row of public.customers.",
            severity="warning"),
    in_file(5, "table-dropped", (JAPANESE, 1, 38, 1, 56), "The rows of public.旧テーブル are gone for good.",
            severity="warning"),
    in_file(6, "prefer-identity", (JAPANESE, 1, 1, 1, 36), "serial is a sequence that nobody owns.", severity="info"),
)  # fmt: skip
LINT = Report(
    server=None,
    files=[INDEXES, WIDER, JAPANESE, "db/20260110_clean.sql"],
    window=None,
    findings=IN_FILES,
    not_checked=(
        NotChecked("index-not-concurrent", "9", "it is put together at run time", "write it out", WIDER, 9),
        NotChecked("table-dropped", "9", "it is put together at run time", "write it out", WIDER, 9),
        NotChecked("table-dropped", None, "ran out of memory", None),
    ),
    suppressed=(
        replace(IN_FILES[0], id="0000000000aa", line=7, suppressed_by="empty", is_suppressed_in_source=True),
        replace(IN_FILES[0], id="0000000000bb", line=9, suppressed_by="baseline"),
    ),
    rules_run=61,
    statements=14,
    sources=SOURCES,
)
LINT_CLEAN = replace(LINT, findings=(), not_checked=(), suppressed=())
LINT_HOSTILE = replace(
    LINT,
    files=[HOSTILE],
    findings=(replace(EVIL, file=HOSTILE, line=2, column=3, end_line=2, end_column=9, suppressed_by=None),),
    suppressed=(replace(EVIL, file=HOSTILE, line=2, suppressed_by=HOSTILE, is_suppressed_in_source=True),),
    not_checked=(
        NotChecked(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 3),
        NotChecked(HOSTILE, HOSTILE, HOSTILE, None),
    ),
    notes=(HOSTILE,),
    sources={HOSTILE: f"\n::error::x {HOSTILE}"},
)
REPORTS = {
    "full": FULL,
    "clean": CLEAN,
    "clean-with-gaps": CLEAN_WITH_GAPS,
    "unknown-window": UNKNOWN_WINDOW,
    "files": FILES,
    "hostile": HOSTILE_REPORT,
    "lint": LINT,
    "lint-clean": LINT_CLEAN,
    "lint-hostile": LINT_HOSTILE,
}
