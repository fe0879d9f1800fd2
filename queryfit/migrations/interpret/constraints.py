"""ALTER TABLE actions."""

from __future__ import annotations

from typing import Any

ACTIONS: dict[str, Any] = {}
