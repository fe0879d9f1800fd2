"""Which history a report is about, where a store holds several."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from queryfit.errors import UsageError
from queryfit.evidence.store import Store
from queryfit.report.whom import choose
from tests.servers import Cluster


def kept(store: Store, identifier: str, database: str, minute: int, *, is_standby: bool = False) -> str:
    """A capture of one scope; answers with the scope."""
    scope = json.dumps([database, is_standby, "one", [], []])
    with store.write("sample") as writer:
        at = datetime(2026, 10, 1, 12, minute, tzinfo=UTC)
        writer.meta |= {"system_identifier": identifier, "captured_at": at.isoformat(), "scope": scope}
        writer.add("server", [{
            "system_identifier": identifier, "version_number": 180001, "version": "18.1", "provider": "self-hosted",
            "is_standby": is_standby, "is_pooled": False, "captured_at": at.replace(tzinfo=None), "role": "me",
            "is_superuser": False, "has_monitor": True, "has_read_all_data": True,
        }])  # fmt: skip
    return scope


def test_a_dsn_tells_a_primary_from_its_standby(newest: Cluster, database: str, tmp_path: Path) -> None:
    (row,) = newest.run("select system_identifier::text as id from pg_control_system()")
    store = Store(tmp_path)
    primary = ""
    for minute in range(0, 40, 10):  # in turn: neither takes over from the other
        primary = kept(store, row["id"], database, minute)
        kept(store, row["id"], database, minute + 5, is_standby=True)
    kept(store, "7000000000000000009", database, 0)
    assert choose(store, newest.dsn(database)).scope == primary
    with pytest.raises(UsageError):
        choose(store, database)
