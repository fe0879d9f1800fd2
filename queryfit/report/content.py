"""A report's content from a session with history and from what the judge found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from queryfit.evidence.session import Session
from queryfit.findings import NotChecked
from queryfit.findings import Report as Judged
from queryfit.history.advice.outcomes import Calibration, Outcome
from queryfit.report import happenings, objects, sessions, statements
from queryfit.report.headline import Story
from queryfit.report.headline import headline as make_headline
from queryfit.report.model import (
    Content,
    Findings,
    FixedFinding,
    Method,
    Server,
)
from queryfit.report.periods import Periods, periods

LOOPS = "n-plus-one"  # the rule whose findings have a section of their own
_SERVER = "select system_identifier, version, provider, is_standby from server"
_DATABASES = "select database from database where is_captured order by database"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge found in the newest full capture.

    `compared_at` is the time from which on findings are new, null where there is nothing to compare with; `fixed` and
    `gone` are those that are there no more since then, mended or without a sign of that.
    """

    report: Judged
    judged_at: datetime
    compared_at: datetime | None
    fixed: Sequence[FixedFinding] = ()
    gone: Sequence[FixedFinding] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether earlier advice was right; `calibration` is null before anything could be measured."""

    calibration: Calibration | None = None
    outcomes: Sequence[Outcome] = field(default_factory=tuple)


def assemble(
    session: Session,
    *,
    since: datetime,
    until: datetime,
    judgement: Judgement | None,
    advice: Advice | None = None,
    unusable: Mapping[str, str] | None = None,
) -> Content:
    """The content of a report on the time from `since` to `until`, both naive UTC.

    `unusable` are captures that could not be read, with why. Raises QueryfitError where the session has no span in
    that time.
    """
    advice = advice or Advice()
    with session.together():
        stretch = periods(session, since, until)
        totals, totals_before = statements.totals(session, stretch)
        changes = [
            change
            for change in statements.changes(session)
            if change.changed_at is None or change.changed_at >= stretch.now.since
        ]
        findings = _findings(judgement)
        shown = statements.statements(
            session,
            stretch,
            total_ms_per_day=totals.execution_ms_per_day,
            changes=changes,
            findings=findings.found,
        )
        server = _server(session)
        trends = happenings.trends(session)
        events = happenings.events(session, stretch)
        story = Story(
            server=", ".join(server.databases) or server.system_identifier,
            period=stretch.now,
            totals=totals,
            totals_before=totals_before,
            changes=changes,
            findings=findings,
            trends=trends,
            events=events,
            outcomes=advice.outcomes,
        )
        return Content(
            server=server,
            period=stretch.now,
            before=stretch.before,
            headline=make_headline(story),
            totals=totals,
            totals_before=totals_before,
            load=statements.load(session, stretch, shown),
            statements=shown,
            changes=changes,
            findings=findings,
            calibration=advice.calibration,
            outcomes=advice.outcomes,
            indexes=objects.indexes(session, stretch),
            tables=objects.tables(session, stretch),
            sessions=sessions.sessions(session, stretch),
            trends=trends,
            loops=[finding for finding in findings.found if finding.rule == LOOPS],
            log_errors=None,
            events=events,
            not_checked=_not_checked(judgement),
            method=_method(session, stretch, judgement, unusable or {}, [event.kind for event in events]),
        )


def headline(content: Content) -> str:
    """The subject line of a mail: the one thing that matters, at most 78 characters, none of them a control."""
    return content.headline.subject


def _server(session: Session) -> Server:
    databases = [str(name) for (name,) in session.query(_DATABASES).rows]
    for identifier, version, provider, is_standby in session.query(_SERVER).rows:
        return Server(identifier, version, provider, is_standby, databases)
    return Server("unknown", "", "", is_standby=False, databases=databases)


def _findings(judgement: Judgement | None) -> Findings:
    if judgement is None:
        return Findings(None, None, (), (), None, 0)
    report = judgement.report
    return Findings(
        judged_at=judgement.judged_at,
        compared_at=judgement.compared_at,
        found=report.findings,
        fixed=judgement.fixed,
        captured_ms_per_day=report.captured_ms_per_day,
        rules_run=report.rules_run,
        gone=judgement.gone,
        suppressed=len(report.suppressed),
    )


def _not_checked(judgement: Judgement | None) -> list[NotChecked]:
    logs = NotChecked("log-errors", None, "no logs were read", None)
    if judgement is None:
        full = NotChecked(
            "all rules",
            None,
            "there is no full capture, and rules judge full ones",
            "take one: `queryfit capture` without --kind sample",
        )
        return [full, logs]
    return [*judgement.report.not_checked, logs]


def _method(
    session: Session,
    stretch: Periods,
    judgement: Judgement | None,
    unusable: Mapping[str, str],
    kinds: Sequence[str],
) -> Method:
    return Method(
        grains=stretch.grains,
        gaps=stretch.gaps,
        lower_bound_statements=happenings.lower_bounds(session, stretch),
        resets=sum(kind in {"statements_reset", "counters_reset", "restarted", "crashed"} for kind in kinds),
        unusable=unusable,
        notes=list(judgement.report.notes) if judgement else [],
    )
