"""What the writes of a workload pay for an index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queryfit.lab.planner import Index
from queryfit.lab.table_facts import TableFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from queryfit.evidence.session import Session


@dataclass(frozen=True, slots=True)
class Writes:
    """Rows of one table that are written: a day, where the workload's unit is ms per day, else in one run of it."""

    inserted_rows: float = 0.0
    updated_rows: float = 0.0
    hot_updated_rows: float = 0.0  # of the updated ones, those that no index hears of today
    deleted_rows: float = 0.0
    set_rows: Mapping[str, float] = field(default_factory=dict)  # rows whose update sets the column, by unquoted name
    unit: str = "cost"  # or `ms per day`


def upkeep_of(index: Index, table: TableFacts, writes: Writes) -> float:
    """What maintaining the index costs, in the unit of `writes`."""
    return 0.0


def writes_of(session: Session, database: str) -> dict[str, Writes]:
    """Writes a day by table (schema.name), from the counters of a capture and the statements that set columns."""
    return {}
