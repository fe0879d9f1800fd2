"""What each kind of statement does to the schema, and what it locks, scans and rewrites meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queryfit.migrations.interpret import (
    data,
    indexes,
    maintenance,
    objects,
    privileges,
    programs,
    session,
    tables,
    triggers,
    types,
    views,
)

HANDLERS: dict[str, Callable[[Any, Any], None]] = {
    **tables.HANDLERS,
    **indexes.HANDLERS,
    **types.HANDLERS,
    **views.HANDLERS,
    **programs.HANDLERS,
    **objects.HANDLERS,
    **triggers.HANDLERS,
    **privileges.HANDLERS,
    **data.HANDLERS,
    **maintenance.HANDLERS,
    **session.HANDLERS,
}
"""The interpreter of each kind of statement, by the parser's name of it: a function of the context and the tree."""
