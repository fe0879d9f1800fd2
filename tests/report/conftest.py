"""A capture in a store, and the made-up fortnight over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from queryfit.evidence.session import Session
from tests.report.sample import Rows, opened


@pytest.fixture
def fortnight(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """A function that opens a session: `fortnight(statement="…", rows={…})`."""
    with ExitStack() as stack:

        def start(rows: Rows | None = None, **captured: list[dict[str, Any]]) -> Session:
            return stack.enter_context(opened(tmp_path, rows, captured))

        yield start


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23)  # noqa: DTZ001 -- as in evidence
