"""What is new: suppressions, the baseline file, and the findings of runs before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from queryfit.config import Suppression
from queryfit.errors import QueryfitError
from queryfit.findings import Finding, NotChecked

VERSION = 1


def suppress(
    findings: Iterable[Finding],
    suppressions: Sequence[Suppression],
    *,
    today: date,
    rules: Iterable[str],
    not_checked: Sequence[NotChecked] = (),
) -> tuple[list[Finding], list[Finding], list[str]]:
    """Findings that stay, findings taken out with their reason, and notes on suppressions that are of no use.

    A suppression is of no use when its rule is not known, its end has passed, or nothing matches it although the rule
    could judge everything.
    """
    kept: list[Finding] = []
    taken: list[Finding] = []
    used: set[Suppression] = set()
    for finding in findings:
        matching = [entry for entry in suppressions if _matches(entry, finding)]
        used.update(matching)
        alive = [entry for entry in matching if entry.until is None or entry.until >= today]
        if alive:
            taken.append(replace(finding, suppressed_by=alive[0].reason))
        else:
            kept.append(finding)
    known = set(rules)
    unjudged = {entry.rule for entry in not_checked} | ({"*"} if not_checked else set())
    notes = []
    for entry in suppressions:
        name = f"the suppression of {entry.rule}" + (f" on {entry.subject}" if entry.subject != "*" else "")
        if entry.rule not in known and entry.rule != "*":
            notes.append(f"{name}: there is no such rule")
        elif entry.until is not None and entry.until < today:
            notes.append(f"{name} ended on {entry.until}")
        elif entry not in used and entry.rule not in unjudged:
            notes.append(f"{name} suppresses nothing; remove it")
    return kept, taken, notes


def _matches(entry: Suppression, finding: Finding) -> bool:
    return entry.rule in (finding.rule, "*") and (
        entry.subject == finding.subject or fnmatchcase(finding.subject, _glob(entry.subject))
    )


def _glob(pattern: str) -> str:
    """Only `*` is special: subjects hold brackets and question marks of their own."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def read_baseline(path: Path) -> set[str]:
    """Ids of the findings that were there when the baseline was written. Raises QueryfitError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version, findings = data["version"], data["findings"]
        ids = {str(finding["id"]) for finding in findings}
    except FileNotFoundError:
        raise QueryfitError(f"no baseline at {path}", hint="write one with --write-baseline") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise QueryfitError(f"{path} is not a baseline: {error}", hint="write it anew with --write-baseline") from None
    if version != VERSION:
        raise QueryfitError(f"{path} has version {version}, expected {VERSION}", hint="upgrade queryfit")
    return ids


def write_baseline(path: Path, findings: Iterable[Finding]) -> None:
    """Record the present findings as known. The file is sorted, so that a diff of it reads well."""
    from queryfit.evidence.store import write_atomically  # noqa: PLC0415 -- DuckDB loads only where it is written

    entries = sorted(
        ({"id": entry.id, "rule": entry.rule, "subject": entry.subject} for entry in findings),
        key=lambda entry: (entry["rule"], entry["subject"], entry["id"]),
    )
    try:
        write_atomically(path, json.dumps({"version": VERSION, "findings": entries}, indent=2) + "\n")
    except OSError as error:
        raise QueryfitError(f"cannot write the baseline {path}: {error.strerror or error}") from None


def compare(
    findings: Sequence[Finding],
    before: Sequence[Mapping[str, Any]] | None,
    not_checked: Sequence[NotChecked],
    *,
    rules: Iterable[str],
) -> tuple[list[Finding], list[Mapping[str, Any]]]:
    """Findings marked new, open or back, and those of runs before that are not there any more.

    `before` is what is remembered; an entry's `state` may say `fixed` or `gone`, otherwise the run before had it.
    A finding is still there when its rule did not run this time, or could not judge it: the rule said so for its
    subject or for the relation that the subject lies in.
    """
    if before is None:
        return list(findings), []
    known = {entry["id"]: str(entry.get("state", "open")) for entry in before}
    marked = [replace(entry, state=_state(known.get(entry.id))) for entry in findings]
    present = {entry.id for entry in findings}
    # a fault may now be told by another rule of the same root
    told = {(other["rule"], other["subject"]) for entry in findings for other in entry.evidence.get("also", ())}
    unjudged = {(entry.rule, entry.subject) for entry in not_checked}
    run = set(rules)
    missing = [
        entry
        for entry in before
        if entry.get("state", "open") not in ("fixed", "gone")
        and entry["id"] not in present
        and entry["rule"] in run
        and (entry["rule"], entry["subject"]) not in told
        and not {(entry["rule"], place) for place in _places(entry)} & unjudged
    ]
    return marked, missing


def _state(before: str | None) -> str:
    """The state of a finding that is there, from what it was before."""
    if before is None:
        return "new"
    return "back" if before in ("fixed", "back") else "open"


def _places(entry: Mapping[str, Any]) -> set[str | None]:
    """What has to be readable for a finding to be judged: everything, its subject, its relation."""
    subject = str(entry["subject"])
    evidence = entry.get("evidence")
    relation = entry.get("relation") or (evidence.get("relation") if isinstance(evidence, Mapping) else None)
    return {None, subject, subject.partition(" (")[0], relation}
