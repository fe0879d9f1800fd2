"""Reports to render: a made-up fortnight, and one whose every text and name wants to be more than text."""

from __future__ import annotations

from pathlib import Path

from queryfit.findings import NotChecked
from queryfit.history.advice.outcomes import Calibration, Outcome
from queryfit.report.content import Advice, assemble
from queryfit.report.model import Content, FixedFinding
from tests.report import sample

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)> ]]> {{ 7*7 }} [link](javascript:alert(3)) | pipe |"
    " `tick` \x00\x1b[2J \u202egnp.exe \u2028 <!-- & &amp; \"quoted\" 'single' " + "very_long_word_" * 40
)

GONE = FixedFinding("aa", "missing-index", HOSTILE, HOSTILE, None, sample.RESET, HOSTILE)


def ordinary(folder: Path) -> Content:
    """The fortnight with findings of every state."""
    findings = [
        sample.finding(state="new", title="Missing index"),
        sample.finding("sort-spills-to-disk", subject="fingerprint:c3", state="open", title="A sort goes to disk"),
        sample.finding("n-plus-one", subject="fingerprint:b2", state="back", title="One statement for every row"),
        *(sample.finding(subject=f"public.t{number} (a)", state="open", severity="info") for number in range(9)),
    ]
    fixed = FixedFinding("0123456789ab", "missing-index", "Missing index", "public.carts (id)", "warning", sample.RESET)
    outcome = Outcome(
        finding=fixed.id, rule=fixed.rule, title=fixed.title, database="shop", subject=fixed.subject, proof="planned",
        fixed_at=sample.RESET, status="measured", predicted_ms_per_day=7.2e6, predicted_low_ms_per_day=5e6,
        got_ms_per_day=6.5e6, got_low_ms_per_day=6.1e6, got_high_ms_per_day=6.9e6, expected_ms_per_day=7.2e6,
    )  # fmt: skip
    gap = NotChecked("plan-rule", "fingerprint:c3", "permission denied for table orders", "grant select")
    with sample.opened(folder) as session:
        return assemble(
            session,
            since=sample.MIDDLE,
            until=sample.END,
            judgement=sample.judgement(*findings, fixed=[fixed], not_checked=[gap]),
            advice=Advice(Calibration(0.9, 3, 7.2e6, 6.5e6), [outcome]),
            unusable={"20261118T000000Z-aaaaaa": "statement.parquet has 3 of 90 bytes"},
        )


def hostile(folder: Path) -> Content:
    """The same with hostile words wherever a server or a file can put some."""
    rows, captured = sample.history(), sample.captured()
    for change in rows["statement_change"]:
        change |= {"reason": HOSTILE, "plan_before": f"Seq {HOSTILE}", "plan_now": HOSTILE}
    for table, names in {
        "relation_span": ("relation",), "server_event": ("subject", "value_now", "detail"),
        "session_span": ("role", "application", "wait_event"), "trend": ("subject", "limit_name"),
    }.items():  # fmt: skip
        for row in rows[table]:
            row |= {name: HOSTILE if row.get(name) else None for name in names}
    for text in captured["statement_text"]:
        text["text"] = HOSTILE + text["text"]
    for index in captured["relation_index"]:
        index |= {"relation": HOSTILE, "key_columns": HOSTILE}
    for node in captured["plan_node"]:
        node |= {"relation": HOSTILE, "filter": HOSTILE, "condition": HOSTILE}
    captured["database"][0]["database"] = HOSTILE
    finding = sample.finding(subject=HOSTILE, title=HOSTILE, message=HOSTILE, fix=f"select 1; -- {HOSTILE}")
    with sample.opened(folder, rows, captured) as session:
        return assemble(
            session,
            since=sample.MIDDLE,
            until=sample.END,
            judgement=sample.judgement(
                finding, gone=[GONE], not_checked=[NotChecked("rule", HOSTILE, HOSTILE, HOSTILE)]
            ),
            unusable={HOSTILE: HOSTILE},
        )
