"""Statements of a period: what they took, how that compares, over time, and as they are planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from queryfit.details import fingerprints_of
from queryfit.evidence.session import Session
from queryfit.findings import Finding
from queryfit.report.model import (
    Plan,
    PlanNode,
    Series,
    Statement,
    StatementBefore,
    StatementChange,
    StatementKey,
    Timeline,
    Totals,
)
from queryfit.report.periods import PARTS, Grid, Periods

MOST_STATEMENTS = 50
FEWEST_STATEMENTS = 10
NEARLY_ALL = 0.998  # of the statement time
MOST_CHANGES = 25
MOST_SERIES = 8  # in the chart of the load; the rest is one more
_MOST_NODES = 200
_DAY_S = 86_400.0
_HOUR_MS = 3_600.0
_BLOCK = 8_192

_TOTALS = """
    select sum(execution_ms), sum(calls), count(distinct (database, fingerprint))
    from statement_span
    where started_at >= $since and ended_at <= $until
"""
_STATEMENTS = """
    with total as (
        select
            database,
            fingerprint,
            coalesce(sum(calls) filter (where is_now), 0) as calls,
            coalesce(sum(execution_ms) filter (where is_now), 0) as execution_ms,
            sum(rows) filter (where is_now) as rows,
            sum(blocks_hit + blocks_read) filter (where is_now) as blocks,
            sum(temp_blocks_written) filter (where is_now) as temp_blocks,
            coalesce(bool_or(is_lower_bound) filter (where is_now), false) as is_lower_bound,
            sum(calls) filter (where not is_now) as calls_before,
            sum(execution_ms) filter (where not is_now) as execution_ms_before
        from (
            select *, started_at >= $since as is_now from statement_span
            where (started_at >= $since and ended_at <= $until)
                or (started_at >= $since_before and ended_at <= $until_before)
        ) as either
        group by database, fingerprint
    )
    select total.*, coalesce(text.text, '') as text, coalesce(text.kind, 'unparsed') as kind
    from total
    left join statement_text as text on text.fingerprint = total.fingerprint  -- LEFT JOIN: it may have left the server
    where calls > 0
    order by execution_ms desc, database, total.fingerprint
    limit $most
"""
_OVER_TIME = f"""
    with {PARTS},
    named as (
        select unnest($databases::varchar[]) as database, unnest($fingerprints::varchar[]) as fingerprint
    )
    select named.database, named.fingerprint, part.number, sum(statement_span.execution_ms * part.share)
    from statement_span
    join part on part.started_at = statement_span.started_at
    left join named
        on named.database = statement_span.database and named.fingerprint = statement_span.fingerprint
    group by all
"""
_COVERED = f"with {PARTS} select number, sum(covered_s * share) from part group by number"
_CHANGES = """
    select change.*, coalesce(text.text, '') as text
    from statement_change as change
    left join statement_text as text on text.fingerprint = change.fingerprint  -- LEFT JOIN: gone ones have none
    order by
        abs(coalesce(execution_ms_per_day, 0) - coalesce(execution_ms_per_day_before, 0)) desc,
        change.database, change.fingerprint, change.change
    limit $most
"""
_PLANS = """
    select plan, database, fingerprint, origin, total_cost
    from plan
    where fingerprint in (select unnest($fingerprints::varchar[]))
    order by total_cost desc, plan
"""
_NODES = """
    select plan, depth, node_type, relation, index, plan_rows, estimated_loops, self_cost, condition, filter,
        sort_key, join_type
    from plan_node
    where plan in (select unnest($plans::varchar[])) and node < $most
    order by plan, node
"""


def totals(session: Session, periods: Periods) -> tuple[Totals, Totals | None]:
    """All statements in the period, and in the one before."""
    now = _totals(session, periods.now.since, periods.now.until, periods.now.covered_s)
    before = periods.before
    return now, _totals(session, before.since, before.until, before.covered_s) if before else None


def _totals(session: Session, since: Any, until: Any, covered_s: float) -> Totals:
    ms, calls, statements = session.query(_TOTALS, {"since": since, "until": until}).rows[0]
    if covered_s <= 0 or ms is None:
        return Totals(None, None, statements)
    return Totals(ms * _DAY_S / covered_s, calls * _DAY_S / covered_s, statements)


def changes(session: Session) -> list[StatementChange]:
    """Statements whose behaviour changed, those that it matters most for first."""
    rows = session.query(_CHANGES, {"most": MOST_CHANGES}).mappings()
    names = StatementChange.__slots__
    return [StatementChange(**{name: row[name] for name in names}) for row in rows]


def statements(
    session: Session,
    periods: Periods,
    *,
    total_ms_per_day: float | None,
    changes: Sequence[StatementChange],
    findings: Sequence[Finding],
) -> list[Statement]:
    """The statements that took the most time, at most 50."""
    found = list(session.query(_STATEMENTS, {**periods.parameters, "most": MOST_STATEMENTS}).mappings())
    total_ms = (total_ms_per_day or 0) * periods.now.covered_s / _DAY_S
    rows = _without_dust(found, total_ms, {change.fingerprint for change in changes})
    keys = [(str(row["database"]), str(row["fingerprint"])) for row in rows]
    grid = periods.grid(most_steps=48)
    over_time, _ = _over_time(session, periods, grid, keys)
    plans = _plans(session, keys)
    named = _by_statement(findings)
    by_key: dict[StatementKey, StatementChange] = {}
    for change in changes:  # the one that matters most comes first
        by_key.setdefault((change.database, change.fingerprint), change)
    covered = periods.now.covered_s
    before_s = periods.before.covered_s if periods.before else 0
    return [
        Statement(
            rank=rank,
            database=key[0],
            fingerprint=key[1],
            text=row["text"],
            kind=row["kind"],
            calls=int(row["calls"]),
            execution_ms=float(row["execution_ms"]),
            execution_ms_per_day=row["execution_ms"] * _DAY_S / covered if covered else 0.0,
            calls_per_day=float(row["calls"]) * _DAY_S / covered if covered else 0.0,
            mean_ms=_ratio(row["execution_ms"], row["calls"]),
            rows_per_call=_ratio(row["rows"], row["calls"]),
            blocks_per_call=_ratio(row["blocks"], row["calls"]),
            temp_bytes=float(row["temp_blocks"] or 0) * _BLOCK,
            time_share=row["execution_ms"] / total_ms if total_ms else 0.0,
            is_lower_bound=row["is_lower_bound"],
            before=_before(row, before_s),
            trend=over_time[key],
            change=by_key.get(key),
            plan=plans.get(key),
            findings=named.get(key[1], ()),
        )
        for rank, (key, row) in enumerate(zip(keys, rows, strict=True), 1)
    ]


def _without_dust(
    rows: Sequence[Mapping[str, Any]], total_ms: float, changed: AbstractSet[str]
) -> list[Mapping[str, Any]]:
    """Rows up to nearly all of the time, and those that changed: the hundredth part of a percent is no news."""
    kept: list[Mapping[str, Any]] = []
    taken = 0.0
    for row in rows:
        if len(kept) < FEWEST_STATEMENTS or taken < total_ms * NEARLY_ALL or row["fingerprint"] in changed:
            kept.append(row)
        taken += row["execution_ms"]
    return kept


def _before(row: Mapping[str, Any], covered_s: float) -> StatementBefore | None:
    calls, ms = row["calls_before"], row["execution_ms_before"]
    if covered_s <= 0 or calls is None:
        return None
    return StatementBefore(float(calls) * _DAY_S / covered_s, _ratio(ms, calls), ms * _DAY_S / covered_s)


def _ratio(value: float | None, calls: float | None) -> float | None:
    return float(value) / float(calls) if value is not None and calls else None


def load(session: Session, periods: Periods, shown: Sequence[Statement]) -> Timeline | None:
    """Statement time over the period by step: the first statements, and all others as one."""
    top = shown[:MOST_SERIES]
    if not top:
        return None
    grid = periods.grid()
    by_key, others = _over_time(session, periods, grid, [statement.key for statement in top])
    series = [Series(statement.key, statement.text, by_key[statement.key]) for statement in top]
    if any(others):
        series.append(Series(None, "all others", others))
    return Timeline(grid.begins, grid.step_s, "ms_per_hour", series)


def _over_time(
    session: Session, periods: Periods, grid: Grid, keys: Sequence[StatementKey]
) -> tuple[dict[StatementKey, list[float | None]], list[float | None]]:
    """Execution time in ms an hour by step, of the named statements and of all others; null where none was followed."""
    parameters = {"since": periods.now.since, "until": periods.now.until, **grid.parameters}
    covered = [0.0] * grid.steps
    for number, seconds in session.query(_COVERED, parameters).rows:
        covered[number] = float(seconds)
    names = {"databases": [key[0] for key in keys], "fingerprints": [key[1] for key in keys]}
    sums: dict[StatementKey | None, list[float]] = defaultdict(lambda: [0.0] * grid.steps)
    for database, fingerprint, number, ms in session.query(_OVER_TIME, {**parameters, **names}).rows:
        sums[(database, fingerprint) if fingerprint is not None else None][number] += float(ms)
    least = grid.step_s * 0.02  # a sliver of a step says nothing about the rest of it

    def rates(key: StatementKey | None) -> list[float | None]:
        return [
            ms * _HOUR_MS / seconds if seconds > least else None for ms, seconds in zip(sums[key], covered, strict=True)
        ]

    return {key: rates(key) for key in keys}, rates(None)


def _by_statement(findings: Sequence[Finding]) -> dict[str, tuple[str, ...]]:
    """Ids of findings by the fingerprint that they are about."""
    named: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        for fingerprint in fingerprints_of(finding):
            named[fingerprint].append(finding.id)
    return {fingerprint: tuple(ids) for fingerprint, ids in named.items()}


def _plans(session: Session, keys: Sequence[StatementKey]) -> dict[StatementKey, Plan]:
    """The dearest plan of each statement."""
    wanted = set(keys)
    chosen: dict[StatementKey, Mapping[str, Any]] = {}
    for row in session.query(_PLANS, {"fingerprints": [key[1] for key in keys]}).mappings():
        key = (row["database"], row["fingerprint"])
        if key in wanted:
            chosen.setdefault(key, row)
    nodes: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    names = [row["plan"] for row in chosen.values()]
    for node in session.query(_NODES, {"plans": names, "most": _MOST_NODES}).mappings():
        nodes[node["plan"]].append(node)
    return {
        key: Plan(row["origin"], row["total_cost"], [_node(node, row["total_cost"]) for node in nodes[row["plan"]]])
        for key, row in chosen.items()
    }


def _node(row: Mapping[str, Any], total: float) -> PlanNode:
    loops = max(float(row["estimated_loops"] or 1), 1.0)
    join = row["join_type"]
    named = row["node_type"] + (f" ({join})" if join and join != "Inner" else "")
    return PlanNode(
        depth=row["depth"],
        node_type=named,
        relation=row["relation"],
        index=row["index"],
        rows=row["plan_rows"],
        loops=loops,
        cost_share=min(row["self_cost"] * loops / total, 1.0) if total > 0 else 0.0,
        condition=row["condition"] or row["sort_key"],
        filter=row["filter"],
    )
