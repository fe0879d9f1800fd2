"""The rows of rules made into findings: identity, merged roots, capped impact, order.

A finding's impact is the database time that its fix would save a day. Savings are claimed per statement, and all
claims on one statement never add up to more than the statement's own time.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from queryfit import fixes, words
from queryfit.findings import Finding, NotChecked, Promise, identity
from queryfit.ruleset import PROOFS, SEVERITIES, Rule

if TYPE_CHECKING:
    from queryfit.history.advice.outcomes import Calibration

URGENT_DAYS = 7
URGENT_HEADROOM = 0.1
WARNING_SHARE = 0.01  # a timed finding is a warning from 1 % of the captured time …
WARNING_MS_PER_DAY = 60_000.0  # … and 60 s a day

# columns with a meaning of their own; all others are evidence
_KNOWN = frozenset(
    {
        "subject",
        "root",
        "severity",
        "proof",
        "is_urgent",
        "file",
        "line",
        "column",
        "end_line",
        "end_column",
        "impact_ms_per_day",
        "impact_low_ms_per_day",
        "not_checked_reason",
        "hint",
    }
)

StatementKey = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """Saving on one statement, milliseconds a day; negative where the fix makes it slower.

    `uncorrected_ms_per_day` is what the rule says; the others are corrected by how right such claims were before.
    """

    ms_per_day: float
    low_ms_per_day: float
    uncorrected_ms_per_day: float

    def corrected(self, factor: float) -> Claim:
        """A loss is not made smaller: what a fix costs was never measured by what it saves."""
        if self.ms_per_day <= 0:
            return self
        return replace(self, ms_per_day=self.ms_per_day * factor, low_ms_per_day=self.low_ms_per_day * factor)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A finding before its rank is known."""

    rule: Rule
    database: str | None
    subject: str
    root: str
    severity: str
    proof: str
    row: Mapping[str, Any]
    claims: Mapping[StatementKey, Claim]
    statements: Sequence[Mapping[str, Any]]
    also: Sequence[_Draft] = ()
    untimed_severity: str = "info"  # the greatest of the merged faults whose stake is not time

    @property
    def low(self) -> float:
        return sum(claim.low_ms_per_day for claim in self.claims.values())

    @property
    def is_urgent(self) -> bool:
        return any(_is_urgent(row) for row in self.rows)

    @property
    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Its own row and those of the faults merged into it."""
        yield self.row
        for other in self.also:
            yield from other.rows


def _is_urgent(row: Mapping[str, Any]) -> bool:
    """Data loss or an outage is near: the rule says so, or its limit is."""
    days, headroom = row.get("days_left"), row.get("headroom_fraction")
    return (
        bool(row.get("is_urgent"))
        or (days is not None and days <= URGENT_DAYS)
        or (headroom is not None and headroom < URGENT_HEADROOM)
    )


def not_checked_rows(rule: Rule, rows: Iterable[Mapping[str, Any]]) -> list[NotChecked]:
    """The rows in which a rule says that it could not judge."""
    return [
        NotChecked(
            rule.name,
            str(row["subject"]),
            str(row["not_checked_reason"]),
            row.get("hint"),
            row.get("file"),
            row.get("line"),
        )
        for row in rows
        if row.get("not_checked_reason")
    ]


def find(
    results: Iterable[tuple[Rule, Sequence[Mapping[str, Any]]]],
    *,
    origin: str,
    statement_ms_per_day: Mapping[StatementKey, float],
    calibration: Calibration | None = None,
) -> list[Finding]:
    """Turn the rows of all rules into ranked findings.

    `origin` is the system identifier, or for files the repository-relative path. `statement_ms_per_day` is the time
    of each statement by database and fingerprint: the most that can be saved on it. Claims are corrected by the
    `calibration`.
    """
    drafts = [_corrected(draft, calibration) for rule, rows in results for draft in _drafts(rule, rows)]
    merged = _merge_roots(drafts)
    captured = sum(statement_ms_per_day.values())
    findings = []
    for draft, taken in _ranked(merged, statement_ms_per_day):
        finding = _finding(draft, origin, _severity(draft, taken.total if taken else None, captured), taken)
        findings.append(_with_correction(finding, taken, calibration))
    return sorted(findings, key=_group)


def _corrected(draft: _Draft, calibration: Calibration | None) -> _Draft:
    if calibration is None or (factor := calibration.of(draft.proof)) == 1:
        return draft
    return replace(draft, claims={key: claim.corrected(factor) for key, claim in draft.claims.items()})


def _with_correction(finding: Finding, taken: _Taken | None, calibration: Calibration | None) -> Finding:
    """The finding with what it would promise if earlier promises had not been looked at."""
    if taken is None or calibration is None or (factor := calibration.of(finding.proof)) == 1:
        return finding
    said = {
        "uncorrected_impact_ms_per_day": taken.total.uncorrected_ms_per_day,
        "correction_factor": factor,
        "correction_outcomes": calibration.outcomes_of(finding.proof),
    }
    return msgspec.structs.replace(finding, evidence={**finding.evidence, **said})


def _group(finding: Finding) -> int:
    """The groups of the order; sorting by it is stable, so the order inside each stays.

    A timed finding that saves nothing (any more) comes after what is at stake without a time.
    """
    if finding.is_urgent:
        return 0
    if finding.impact_ms_per_day is None:
        return 2
    return 1 if finding.impact_ms_per_day > 0 else 3


def _drafts(rule: Rule, rows: Sequence[Mapping[str, Any]]) -> list[_Draft]:
    """One draft a subject; several rows of a subject are the statements that it touches."""
    by_subject: dict[tuple[str | None, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if not row.get("not_checked_reason"):
            by_subject[row.get("database"), str(row["subject"])].append(row)
    drafts = []
    for (database, subject), group in by_subject.items():
        group.sort(key=_row_order)
        claims: dict[StatementKey, Claim] = {}
        for row in group:
            impact = _finite(row.get("impact_ms_per_day"))
            if impact is None:
                continue
            low = _finite(row.get("impact_low_ms_per_day"))
            claim = Claim(impact, impact if low is None else min(low, impact), impact)
            key = (database, str(row.get("fingerprint") or f"no statement: {subject}"))
            claims[key] = _larger(claims.get(key), claim)
        drafts.append(
            _Draft(
                rule=rule,
                database=database,
                subject=subject,
                root=str(group[0].get("root") or f"{rule.name}: {subject}"),
                severity=min((_allowed(row.get("severity"), SEVERITIES, rule.severity) for row in group), key=_rank),
                proof=min((_allowed(row.get("proof"), PROOFS, rule.proof) for row in group), key=PROOFS.index),
                row=group[0],
                claims=claims,
                statements=[_statement(row) for row in group if row.get("fingerprint")],
            )
        )
    return drafts


def _finite(value: object) -> float | None:
    """The number, or None where it is none: a ratio with nothing below the line is unknown."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _row_order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The row that says most comes first; the last part makes the order independent of DuckDB's."""
    days = _finite(row.get("days_left"))
    return (
        -(_finite(row.get("impact_ms_per_day")) or 0),
        math.inf if days is None else days,
        str(row.get("fingerprint") or ""),
        repr(sorted(row.items())),
    )


def _allowed(value: object, allowed: Sequence[str], default: str) -> str:
    return str(value) if value in allowed else default


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity)


def _larger(one: Claim | None, other: Claim) -> Claim:
    return one if one and abs(one.ms_per_day) >= abs(other.ms_per_day) else other


def _statement(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row.get(key) for key in ("fingerprint", "impact_ms_per_day", "impact_low_ms_per_day")}


def _merge_roots(drafts: Sequence[_Draft]) -> list[_Draft]:
    """Faults with one root are one finding: the best proof wins, the others become its evidence."""
    by_root: dict[tuple[str | None, str], list[_Draft]] = defaultdict(list)
    for draft in drafts:
        by_root[draft.database, draft.root].append(draft)
    merged = []
    for group in by_root.values():
        # a finding that has a fix is worth more to its reader than one that only describes; what only a history tells
        # comes last, so that a fault goes by one name whether there is a history or not
        group.sort(
            key=lambda draft: (
                draft.rule.is_about_time,
                PROOFS.index(draft.proof) if draft.rule.fix else len(PROOFS),
                _rank(draft.severity),
                -draft.low,
                draft.rule.name,
                draft.subject,
            )
        )
        best, others = group[0], group[1:]
        claims = dict(best.claims)
        for other in others:
            for key, claim in other.claims.items():
                claims[key] = _larger(claims.get(key), claim)
        severity = min((draft.severity for draft in group), key=_rank)
        untimed = min((draft.severity for draft in group if not draft.claims), key=_rank, default="info")
        merged.append(replace(best, claims=claims, severity=severity, also=others, untimed_severity=untimed))
    return merged


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a finding saves beside those before it, in all and by statement."""

    total: Claim
    by_statement: Mapping[StatementKey, Claim]


def _ranked(
    drafts: Sequence[_Draft], statement_ms_per_day: Mapping[StatementKey, float]
) -> list[tuple[_Draft, _Taken | None]]:
    """Drafts in order, each with what it still saves after those before it."""
    urgent = sorted((draft for draft in drafts if draft.is_urgent), key=_urgency)
    timed = [draft for draft in drafts if draft.claims and not draft.is_urgent]
    untimed = sorted((draft for draft in drafts if not draft.claims and not draft.is_urgent), key=_exposure)
    left = dict(statement_ms_per_day)
    ranked = [(draft, _take(draft, left)) for draft in urgent]
    # greedy with stale keys: an entry's value only falls, so one that still leads after a fresh look is the best
    heap = [(-draft.low, *_tie(draft), number, draft) for number, draft in enumerate(timed)]
    heapq.heapify(heap)
    while heap:
        key, *rest, draft = heapq.heappop(heap)
        now = -_available(draft, left).low_ms_per_day
        if heap and now > key and (now, *rest) > heap[0]:
            heapq.heappush(heap, (now, *rest, draft))  # type: ignore[misc]  # the tail keeps its types
            continue
        ranked.append((draft, _take(draft, left)))
    return ranked + [(draft, None) for draft in untimed]


def _available(draft: _Draft, left: Mapping[StatementKey, float]) -> Claim:
    """What the draft saves of what earlier findings left."""
    high = low = uncorrected = 0.0
    for key, claim in draft.claims.items():
        most = left.get(key, math.inf)
        high += min(claim.ms_per_day, most)
        low += min(claim.low_ms_per_day, most)
        uncorrected += min(claim.uncorrected_ms_per_day, most)
    return Claim(high, low, uncorrected)


def _take(draft: _Draft, left: dict[StatementKey, float]) -> _Taken | None:
    if not draft.claims:
        return None
    total = _available(draft, left)
    taken = {}
    for key, claim in draft.claims.items():
        most = left.get(key, math.inf)
        taken[key] = Claim(
            min(claim.ms_per_day, most), min(claim.low_ms_per_day, most), min(claim.uncorrected_ms_per_day, most)
        )
        if key in left and claim.ms_per_day > 0:
            left[key] -= min(claim.ms_per_day, left[key])
    return _Taken(total, taken)


def _urgency(draft: _Draft) -> tuple[Any, ...]:
    return (_rank(draft.severity), min(_nearness(row) for row in draft.rows if _is_urgent(row)), *_tie(draft))


def _nearness(row: Mapping[str, Any]) -> float:
    """Days left; for a limit of another kind, the room that is left on the same scale; none left where it is now."""
    if row.get("is_urgent"):
        return 0.0
    days, headroom = row.get("days_left"), row.get("headroom_fraction")
    by_room = math.inf if headroom is None else URGENT_DAYS * max(headroom, 0) / URGENT_HEADROOM
    return float(min(math.inf if days is None else days, by_room))


def _exposure(draft: _Draft) -> tuple[Any, ...]:
    days = draft.row.get("days_left")
    return (
        _rank(draft.severity),
        days if days is not None else math.inf,
        -(draft.row.get("exposure_ms_per_day") or 0),
        *_tie(draft),
    )


def _tie(draft: _Draft) -> tuple[int, str, str, str]:
    return PROOFS.index(draft.proof), draft.rule.name, draft.subject, draft.database or ""


def _severity(draft: _Draft, impact: Claim | None, captured: float) -> str:
    """The greatest severity of the draft's faults; of those whose stake is time only where the time is much."""
    if impact is None or draft.is_urgent:
        return draft.severity
    is_much = impact.ms_per_day >= WARNING_MS_PER_DAY and impact.ms_per_day >= WARNING_SHARE * captured
    return draft.severity if is_much else draft.untimed_severity


def _finding(draft: _Draft, origin: str, severity: str, taken: _Taken | None) -> Finding:
    row, impact = dict(draft.row), taken.total if taken else None
    if impact:
        row |= {"impact_ms_per_day": impact.ms_per_day, "impact_low_ms_per_day": impact.low_ms_per_day}
    evidence: dict[str, Any] = {key: value for key, value in row.items() if key not in _KNOWN}
    if draft.statements:
        evidence["statements"] = list(draft.statements)
    evidence["also"] = [
        {
            "rule": other.rule.name,
            "subject": other.subject,
            "severity": other.severity,
            "proof": other.proof,
            "message": words.fill(other.rule.message, other.row),
            "evidence": {key: value for key, value in other.row.items() if key not in _KNOWN},
            **({"statements": list(other.statements)} if other.statements else {}),
        }
        for other in draft.also
    ]
    file, line = row.get("file"), row.get("line")
    # what goes by the name of a fault without a cure may be cured by what was merged into it
    fix, undo = next((found for part in (draft, *draft.also) if (found := _cure(part))[0]), (None, None))
    return Finding(
        id=identity(draft.rule.name, str(file) if file else origin, draft.database, draft.subject),
        rule=draft.rule.name,
        group=draft.rule.group,
        title=draft.rule.title,
        database=draft.database,
        subject=draft.subject,
        severity=severity,
        proof=draft.proof,
        message=words.fill(draft.rule.message, row),
        fix=fix,
        undo=undo,
        impact_ms_per_day=impact.ms_per_day if impact else None,
        impact_low_ms_per_day=impact.low_ms_per_day if impact else None,
        is_urgent=draft.is_urgent,
        file=str(file) if file else None,
        line=int(line) if line else None,
        evidence=evidence,
        column=row.get("column"),
        end_line=row.get("end_line"),
        end_column=row.get("end_column"),
        promises=_promises(draft, taken) if taken else (),
    )


def _cure(draft: _Draft) -> tuple[str | None, str | None]:
    """The SQL that mends it, and the way back, both as safe migrations."""
    fix, undo = (words.substitute(text, draft.row) for text in (draft.rule.fix, draft.rule.undo))
    return fixes.made_safe(fix, draft.row) if fix else None, fixes.made_safe(undo, draft.row) if undo else None


def _promises(draft: _Draft, taken: _Taken) -> tuple[Promise, ...]:
    """The impact by statement; a claim that is on no statement promises nothing that could be measured."""
    named = {str(entry["fingerprint"]) for part in (draft, *draft.also) for entry in part.statements}
    parent = draft.row.get("parent_fingerprint")
    return tuple(
        Promise(
            fingerprint,
            claim.ms_per_day,
            claim.low_ms_per_day,
            claim.uncorrected_ms_per_day,
            parent=str(parent) if parent else None,
        )
        for (_, fingerprint), claim in taken.by_statement.items()
        if fingerprint in named
    )
