"""The sick and the healthy shop, each loaded, used and audited once for all workers of a test run."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from queryfit.demo import workload
from queryfit.demo.shop import open_shop
from queryfit.resources import folder

Once = Callable[[str, Callable[[], Any]], Any]

FAULTS: list[dict[str, Any]] = tomllib.loads(
    (folder("examples/shop") / "faults.toml").read_text(encoding="utf-8"),
)["fault"]

QUERYFIT = [sys.executable, "-c", "from queryfit.cli.main import run; run()"]

COUNTS = """
select coalesce(sum(n_live_tup), 0), max(n_live_tup) filter (where relname = 'order_items'), max(n_live_tup)
from pg_stat_user_tables
"""


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """A function that makes a named JSON value, or takes it from the worker that was first."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-gw") else own

    def get(name: str, make: Callable[[], Any]) -> Any:
        path = shared / f"{name}.json"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                path.write_text(json.dumps(make()), encoding="utf-8")
            return json.loads(path.read_text(encoding="utf-8"))

    return get


@pytest.fixture(scope="session")
def sick_facts(once: Once) -> dict[str, Any]:
    """What queries without queryfit say of the sick shop after its applications ran, see `_facts`."""
    facts: dict[str, Any] = once("facts-sick", _sick_facts)
    return facts


@pytest.fixture(scope="session")
def sick_report(once: Once, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON that `queryfit demo` prints."""
    report: dict[str, Any] = once("report-sick", lambda: _sick_report(tmp_path_factory.mktemp("data")))
    return report


@pytest.fixture(scope="session")
def healthy_run(once: Once, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A healthy shop that was kept, looked at and stopped, see `_healthy_run`."""
    run: dict[str, Any] = once("healthy", lambda: _healthy_run(tmp_path_factory.mktemp("data")))
    return run


def _run(data: Path, *arguments: str, cache: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run queryfit as a person would, with the store and (if given) the servers in folders of the test's own."""
    environment = {**os.environ, "XDG_DATA_HOME": str(data)}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = cache
    return subprocess.run([*QUERYFIT, *arguments], check=False, capture_output=True, text=True, env=environment)


def _sick_report(data: Path) -> Any:
    done = _run(data, "demo", "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _healthy_run(data: Path) -> dict[str, Any]:
    """Return the report, the facts, and what later commands of the person print about the kept server."""
    with tempfile.TemporaryDirectory(prefix="queryfit-test-") as cache:
        Path(cache).chmod(0o711)  # the server of a test that root runs is not root's
        shown = _run(data, "demo", "--healthy", "--keep", "--format", "json", cache=cache)
        try:
            assert shown.returncode == 0, shown.stderr
            dsn = next(word for word in shown.stderr.split() if word.startswith("postgresql://"))
            facts = _facts(dsn)
            audited = _run(data, "audit", "--no-lab", dsn)
        finally:
            stopped = _run(data, "demo", "--stop", cache=cache)
        return {
            "report": json.loads(shown.stdout),
            "facts": facts,
            "audit_status": audited.returncode,
            "audit": audited.stdout + audited.stderr,
            "stop": stopped.stderr,
            "stop_again": _run(data, "demo", "--stop", cache=cache).stderr,
            "left": [str(path) for path in Path(cache).glob("queryfit/server-*")],
        }


def _sick_facts() -> dict[str, Any]:
    with open_shop(is_healthy=False, progress=print) as shop, workload.sessions(shop):
        workload.exercise(shop)
        return _facts(shop.dsn)


def _facts(dsn: str) -> dict[str, Any]:
    """Return the answer to each fault's own check, by id (null where the object is not there), and the row counts."""
    answers: dict[str, object] = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        for fault in FAULTS:
            try:
                answers[fault["id"]] = (connection.execute(fault["check"]).fetchone() or [None])[0]
            except psycopg.errors.UndefinedTable:
                answers[fault["id"]] = None
        counts = connection.execute(COUNTS).fetchone() or (0, 0, 0)
    return {"checks": answers, "counts": [int(count) for count in counts]}
