"""The whole audit on real servers: a weaker role gets fewer answers and is told why, never a wrong one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from queryfit.audit import Settings, audit_capture, audit_server, take_capture
from queryfit.capture.server import CaptureOptions
from queryfit.config import Config
from queryfit.evidence.store import Store
from queryfit.findings import Report
from tests.capture.taking import ROLES
from tests.servers import Cluster, PgBouncer

SHOP = """
    create table customers (id bigint primary key, email text not null, country text not null);
    create table orders (
        id bigint primary key, customer_id int not null references customers, status text not null, placed date not null
    );
    insert into customers select n, 'c' || n || '@example.org', 'de' from generate_series(1, 2000) as n;
    insert into orders
        select n, 1 + n % 2000, 'paid', date '2026-01-01' + n % 300 from generate_series(1, 60000) as n;
    create index customers_country_a on customers (country);
    create index customers_country_b on customers (country);
    alter table orders add constraint orders_status check (status <> '') not valid;
    create sequence invoice_number as smallint start 31000;
    select nextval('invoice_number');
    analyze;
"""
VISITS = """
    select count(*) from (select 1) as warm;
    select id, status from orders where customer_id = 17;
"""
# what is planted, by what a role has to be able to read to find it
BY_CATALOG = {
    ("duplicate-index", "public.customers_country_b"),
    ("constraint-not-valid", "public.orders (orders_status)"),
    ("foreign-key-type-mismatch", "public.orders (customer_id)"),
}
BY_VALUES = {("sequence-near-end", "public.invoice_number")}
BY_STATISTICS = {("missing-index", "public.orders (customer_id)")}


def found(report: Report) -> set[tuple[str, str]]:
    """Rule and subject of every finding, and of what was merged into it."""
    merged = {(other["rule"], other["subject"]) for entry in report.findings for other in entry.evidence["also"]}
    return {(entry.rule, entry.subject) for entry in report.findings} | merged


@pytest.fixture
def shop(cluster: Cluster, database: str) -> Iterator[str]:
    """A shop with faults, visited 40 times since the counters were reset."""
    cluster.run(ROLES)
    cluster.run(SHOP, database=database)
    cluster.run("select pg_stat_statements_reset()")
    for _ in range(40):
        cluster.run(VISITS, database=database)
    yield database
    # statements of roles that are gone from the catalog would be hidden in a later test
    cluster.run("select pg_stat_statements_reset()")


def audit(dsn: str, folder: Path) -> Report:
    # the shop's indexes are small
    config = Config(rule_settings={"unused-index": {"min_bytes": 8192}})
    return audit_server(dsn, CaptureOptions(), Settings(config=config, store=folder))


def test_each_role_finds_what_it_may_read(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    reports = {
        role: audit(cluster.dsn(shop, user=role), tmp_path / role) for role in ("postgres", "fit", "monitor", "plain")
    }
    everything = found(reports["postgres"])
    assert everything >= BY_CATALOG | BY_VALUES | BY_STATISTICS
    assert found(reports["fit"]) >= BY_CATALOG | BY_VALUES | BY_STATISTICS
    assert found(reports["monitor"]) >= BY_CATALOG
    assert found(reports["plain"]) >= BY_CATALOG
    assert not found(reports["plain"]) & (BY_VALUES | BY_STATISTICS)
    for role, report in reports.items():
        assert found(report) <= everything, f"{role} finds what a superuser does not"
    # what a role does not find it says it did not check, and how to mend that
    for role in ("monitor", "plain"):
        lacking = {rule for rule, _ in everything - found(reports[role])}
        mendable = {entry.rule for entry in reports[role].not_checked if "grant" in (entry.hint or "")}
        assert lacking <= mendable, f"{role} does not say what keeps it from {sorted(lacking - mendable)}"
    assert len(reports["plain"].not_checked) > len(reports["monitor"].not_checked) > len(reports["fit"].not_checked)


def test_a_sample_stands_on_the_last_full_capture(newest: Cluster, database: str, tmp_path: Path) -> None:
    newest.run(ROLES)
    newest.run(SHOP, database=database)
    dsn, store, sample = newest.dsn(database, user="monitor"), Store(tmp_path), CaptureOptions(kind="sample")
    alone = audit_capture(take_capture(dsn, sample, store), Settings(store=tmp_path))
    assert not found(alone) & BY_CATALOG
    assert "duplicate-index" in {entry.rule for entry in alone.not_checked}
    full = take_capture(dsn, CaptureOptions(), store)
    taken = take_capture(dsn, sample, store)
    assert taken.meta["full"] == full.name
    report = audit_capture(taken, Settings(store=tmp_path))
    assert found(report) >= BY_CATALOG
    # what the full capture could not read is not clean in the sample either
    reasons = {entry.reason for entry in audit_capture(full, Settings(store=tmp_path)).not_checked}
    statistics = {entry.reason for entry in report.not_checked if entry.rule == "table-bloat"}
    assert statistics
    assert statistics <= reasons


@pytest.mark.skipif(PgBouncer.executable() is None, reason="pgbouncer is not installed")
def test_behind_a_transaction_pooler_it_finds_the_same(cluster: Cluster, shop: str, tmp_path: Path) -> None:
    with PgBouncer(cluster) as bouncer:
        pooled = audit(bouncer.dsn(shop), tmp_path / "pooled")
    direct = audit(cluster.dsn(shop), tmp_path / "direct")
    assert found(pooled) >= BY_CATALOG | BY_VALUES | BY_STATISTICS
    assert found(pooled) == found(direct)
    assert pooled.server is not None
    assert pooled.server["is_pooled"]


def test_on_a_hot_standby(newest: Cluster, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Cluster(newest.bin_dir, root=tmp_path_factory.mktemp("primary")) as primary:
        primary.run("create extension pg_stat_statements; " + SHOP)
        with primary.standby() as standby:
            primary.wait_for_standby()
            for _ in range(40):
                standby.run(VISITS)
            report = audit(standby.dsn(), tmp_path / "standby")
    assert report.server is not None
    assert report.server["is_standby"]
    assert found(report) >= BY_CATALOG | BY_STATISTICS
    # its own scans say nothing of the primary's
    assert "unused-index" not in {entry.rule for entry in report.findings}
    assert "unused-index" in {entry.rule for entry in report.not_checked}
