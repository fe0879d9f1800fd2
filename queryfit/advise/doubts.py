"""Statements whose plans may be others for what the lab lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from queryfit.lab.planner import NotPlannedError, Planned, Query
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from queryfit.lab.build import Lab
    from queryfit.lab.carried import NotCarried
    from queryfit.lab.jobs import BatchPlanner

_CONDITIONS = re.compile(r"\b(?:from|where)\b.*", re.IGNORECASE | re.DOTALL)


def doubts_of(lab: Lab, planner: BatchPlanner, queries: Sequence[Query]) -> tuple[NotCarried, ...]:
    """What the lab lacks and the plans of a statement's variants may rest on.

    Statistics of one column that are missing do not concern a statement that only puts the column out or writes it: it
    is planned to see what its conditions are. A text that the planner refuses gives no doubt; the search says why.
    """
    reached: set[str] = set()
    for query in queries:
        try:
            relations = planner.relations(query)
        except NotPlannedError:
            continue
        # null: a function in it may read any relation
        reached |= {one for item in lab.not_carried for one in item.relations} if relations is None else relations
    found = lab.doubts(reached)
    if not any(item.column is not None for item in found):
        return found
    plans = planner.plan_all(queries)
    spoken = [text for plan in plans.values() if isinstance(plan, Planned) for text in _conditions(plan.document)]
    spoken += [match[0] for query in queries if (match := _CONDITIONS.search(query.text))]
    text = "\n".join(spoken)
    return tuple(item for item in found if item.column is None or _names(text, item.column))


def _conditions(node: Mapping[str, Any]) -> Iterator[str]:
    """All that a plan says but what its nodes put out: columns behind views and policies are named there alone."""
    for key, value in node.items():
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, Mapping):
                yield from _conditions(part)
            elif isinstance(part, str) and key != "Output":
                yield part


def _names(text: str, column: str) -> bool:
    return any(
        re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
        for name in (column, quote_identifier(column))
    )
