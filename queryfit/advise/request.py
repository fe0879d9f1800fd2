"""What is asked of `queryfit advise`, and what all of its steps work with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from queryfit.advise.migration_facts import Standing
from queryfit.advise.model import Candidate, Existing, Rejected, Workload

if TYPE_CHECKING:
    from queryfit.lab.build import Lab
    from queryfit.lab.jobs import BatchPlanner

Say = Callable[[str], None]
FINGERPRINT = re.compile(r"[0-9a-f]{4,16}")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. Sizes in bytes, times in seconds; null: no limit, or not given."""

    target: str | None  # a DSN, or a capture
    store: Path
    database: str | None = None
    query: str | None = None  # one statement's SQL, or its fingerprint
    workload_file: Path | None = None  # statements with weights, as SQL: a file, or a folder of files
    workload_text: str | None = None  # the same, where it came from standard input
    budget_bytes: int | None = None
    max_indexes: int | None = None
    max_width: int = 3
    tolerance: float = 0.1
    with_removals: bool = True
    has_curve: bool = True  # what other budgets would buy is found out, too
    in_lab: bool = True
    max_plans: int = 200_000
    time_limit_s: float = 300.0
    measure_dsn: str | None = None
    measures_writes: bool = False
    measures_anyway: bool = False
    most_statements: int | None = None  # of those that the server counted: the ones that take the most time

    @property
    def is_captured(self) -> bool:
        """The statements are those that the server counted."""
        if self.workload_file is not None or self.workload_text is not None:
            return False
        return self.query is None or FINGERPRINT.fullmatch(self.query.strip()) is not None

    @property
    def is_whole(self) -> bool:
        """They are all of them: what none of them needs may go."""
        return self.is_captured and self.query is None


@dataclass(frozen=True, slots=True)
class Asked:
    """All that is taken from the evidence, so that the session can be closed while the planner works."""

    workload: Workload
    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]
    existing: tuple[Existing, ...]
    standing: Standing
    server: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class By:
    """Who plans and where (a null lab: on the server itself), until when, and who hears how far it is."""

    planner: BatchPlanner
    lab: Lab | None
    deadline: float  # of all that follows the capture, on the monotonic clock
    say: Say
    reached: frozenset[str] | None = None  # all that statements can reach; null: any relation
