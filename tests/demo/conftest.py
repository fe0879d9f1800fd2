"""The sick and the healthy shop, each loaded, used and audited once for all workers of a test run."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from queryfit.demo import workload
from queryfit.demo.shop import open_shop
from queryfit.resources import folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAULTS: list[dict[str, Any]] = tomllib.loads(
    (folder("examples/shop") / "faults.toml").read_text(encoding="utf-8"),
)["fault"]

QUERYFIT = [sys.executable, "-c", "from queryfit.cli.main import run; run()"]

COUNTS = """
select coalesce(sum(n_live_tup), 0), max(n_live_tup) filter (where relname = 'order_items'), max(n_live_tup)
from pg_stat_user_tables
"""


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
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


@pytest.fixture(scope="session", params=["sick", "healthy"])
def shop_facts(request: pytest.FixtureRequest, once: Callable[[str, Callable[[], Any]], Any]) -> dict[str, Any]:
    """What queries without queryfit say of each shop in turn, see `_facts`."""
    facts: dict[str, Any] = once(f"facts-{request.param}", lambda: _facts(is_healthy=request.param == "healthy"))
    return facts


@pytest.fixture(scope="session")
def sick_report(
    once: Callable[[str, Callable[[], Any]], Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The JSON that `queryfit demo` prints."""
    report: dict[str, Any] = once("report-sick", lambda: run_demo(tmp_path_factory.mktemp("store")))
    return report


@pytest.fixture(scope="session")
def healthy_report(
    once: Callable[[str, Callable[[], Any]], Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The JSON that `queryfit demo --healthy` prints."""
    report: dict[str, Any] = once("report-healthy", lambda: run_demo(tmp_path_factory.mktemp("store"), "--healthy"))
    return report


def run_demo(store: Path, *options: str) -> Any:
    """Run `queryfit demo` as a person would and return its JSON."""
    command = [*QUERYFIT, "demo", "--format", "json", "--store", str(store), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _facts(*, is_healthy: bool) -> dict[str, Any]:
    """Return the answer to each fault's own check, by id (null where the object is not there), and the row counts."""
    answers: dict[str, object] = {}
    with open_shop(is_healthy=is_healthy, progress=print) as shop, workload.sessions(shop):
        workload.exercise(shop)
        with psycopg.connect(shop.dsn, autocommit=True) as connection:
            for fault in FAULTS:
                try:
                    answers[fault["id"]] = (connection.execute(fault["check"]).fetchone() or [None])[0]
                except psycopg.errors.UndefinedTable:
                    answers[fault["id"]] = None
            counts = connection.execute(COUNTS).fetchone() or (0, 0, 0)
    return {"is_healthy": is_healthy, "checks": answers, "counts": [int(count) for count in counts]}
