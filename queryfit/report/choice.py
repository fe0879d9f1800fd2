"""Which findings get room in a report: all others are rows of a table."""

from __future__ import annotations

from queryfit.findings import Finding
from queryfit.report.model import Findings

MOST = 6
_FIRST = 3  # by rank, which get room whatever their state


def laid_out(findings: Findings, most: int = MOST) -> list[Finding]:
    """Urgent findings, the first by rank, what is new or back and matters; in rank order."""
    by_rank = list(enumerate(findings.found))

    def order(entry: tuple[int, Finding]) -> tuple[bool, bool, int]:
        rank, finding = entry
        is_changed = finding.state in {"new", "back"} and finding.severity != "info"
        return not finding.is_urgent, rank >= _FIRST and not is_changed, rank

    chosen = sorted(by_rank, key=order)[:most]
    return [finding for _, finding in sorted(chosen, key=lambda entry: entry[0])]
