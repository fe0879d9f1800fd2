"""What the doctor finds, and whether what it prescribes works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queryfit.capture.connect import connect
from queryfit.capture.doctor import Check, examine, fit_role_sql
from queryfit.capture.remedies import read_everything
from tests.capture.taking import ROLES
from tests.servers import Cluster, PgBouncer, available

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVIDERS = ["self-hosted", "rds", "aurora", "cloudsql", "azure", "supabase"]


def checks(dsn: str) -> Mapping[str, Check]:
    with connect(dsn) as reader:
        found = examine(reader)
    by_name = {check.name: check for check in found}
    assert len(by_name) == len(found)
    for check in found:
        assert (check.cost is None) == (check.status == "ok"), check
        assert (check.remedy is None) == (check.status == "ok"), check
    return by_name


def test_a_fit_role_lacks_next_to_nothing(cluster: Cluster, shop: str) -> None:
    found = checks(cluster.dsn(shop, user="fit"))
    assert found["version"].found.startswith(f"PostgreSQL {cluster.version}.")
    assert {name for name, check in found.items() if check.status == "missing"} == set()
    assert {name for name, check in found.items() if check.status == "limited"} <= {
        "track_io_timing",
        "pg_stat_statements.track_planning",
        "pg_stat_statements window",
        "hypopg",
    }
    assert found["track_io_timing"].remedy == "alter system set track_io_timing = 'on'; select pg_reload_conf();"


def test_a_plain_role_is_told_which_grants_it_needs(cluster: Cluster, shop: str) -> None:
    found = checks(cluster.dsn(shop, user="plain"))
    assert (found["pg_monitor"].status, found["pg_monitor"].remedy) == ("missing", "grant pg_monitor to plain;")
    assert found["column statistics"].remedy == read_everything("plain", cluster.version, ["We ird", "public"])
    assert found["plans"].status == "missing"


def test_what_it_prescribes_makes_the_role_fit(cluster: Cluster, shop: str) -> None:
    cluster.run("drop role if exists patient; create role patient login")
    for _ in range(2):
        for check in checks(cluster.dsn(shop, user="patient")).values():
            if check.status == "missing":
                cluster.run(check.remedy or "", database=shop)
    assert "missing" not in {check.status for check in checks(cluster.dsn(shop, user="patient")).values()}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_role_it_writes_is_fit(newest: Cluster, newest_shop: str, provider: str) -> None:
    name = 'odd "role'
    script = fit_role_sql(provider, name, schemas=["public"])
    assert "\\password" in script
    runnable = "\n".join(line for line in script.splitlines() if not line.startswith("\\")).replace(
        "with schema extensions", ""
    )
    runnable = runnable.replace("allow pg_stat_statements in azure.extensions, then: ", "")
    newest.run(f'drop role if exists "odd ""role"; {runnable}', database=newest_shop)
    found = checks(newest.dsn(newest_shop, user=name))
    assert "missing" not in {check.status for check in found.values()}
    newest.run('drop owned by "odd ""role"; drop role "odd ""role"', database=newest_shop)


def test_the_role_it_writes_for_13_needs_no_later_role() -> None:
    script = fit_role_sql("self-hosted", "queryfit", major=13, schemas=["public", "Sales"])
    assert "pg_read_all_data" not in script
    assert 'grant select on all tables in schema public, "Sales" to queryfit;' in script


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_role_it_writes_is_sql_apart_from_psqls_command(provider: str) -> None:
    for line in fit_role_sql(provider, "queryfit").splitlines():
        assert line.startswith(("--", "\\password")) or line.endswith(";")


def test_an_extension_not_created(newest: Cluster, newest_shop: str) -> None:
    newest.run("drop extension pg_stat_statements", database=newest_shop)
    found = checks(newest.dsn(newest_shop, user="fit"))
    assert found["pg_stat_statements loaded"].status == "ok"
    created = found["pg_stat_statements created"]
    assert (created.status, created.remedy) == ("missing", "create extension pg_stat_statements;")


def test_an_extension_created_but_not_loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Cluster(
        available()[max(available())],
        settings={"shared_preload_libraries": "auto_explain", "pg_stat_statements.track_utility": None},
        root=tmp_path_factory.mktemp("unloaded"),
    ) as bare:
        bare.run(ROLES)
        found = checks(bare.dsn())
        assert {"pg_stat_statements loaded", "pg_stat_statements created"} <= found.keys()
        bare.run("create extension pg_stat_statements")
        found = checks(bare.dsn())
        assert "pg_stat_statements created" not in found
        loaded = found["pg_stat_statements loaded"]
        assert loaded.found == "created in this database but not preloaded, so it counts nothing"
        assert loaded.remedy == (
            "alter system set shared_preload_libraries = 'auto_explain', 'pg_stat_statements'; then restart the server"
        )
        assert "add pg_stat_statements" in (checks(bare.dsn(user="plain"))["pg_stat_statements loaded"].remedy or "")


def test_settings_that_blind_the_audit(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Cluster(
        available()[max(available())],
        settings={"track_counts": "off", "pg_stat_statements.track": "none", "pg_stat_statements.max": "100"},
        root=tmp_path_factory.mktemp("blind"),
    ) as blind:
        blind.run("create extension pg_stat_statements")
        found = checks(blind.dsn())
    assert found["track_counts"].status == "missing"
    assert found["pg_stat_statements.track"].remedy == (
        "alter system set pg_stat_statements.track = 'top'; select pg_reload_conf();"
    )
    assert found["pg_stat_statements capacity"].status == "limited"


def test_a_pooler_and_a_standby_are_told(newest: Cluster, newest_shop: str) -> None:
    if PgBouncer.executable() is None:
        pytest.skip("pgbouncer is not installed")
    with PgBouncer(newest) as pooler:
        found = checks(pooler.dsn(newest_shop, user="fit"))
    assert found["direct connection"].status == "limited"
    assert found["primary"].status == "ok"


def test_row_security_is_told(newest: Cluster, newest_shop: str) -> None:
    newest.run("alter table customer enable row level security", database=newest_shop)
    found = checks(newest.dsn(newest_shop, user="fit"))
    assert found["row security"].found == "applies to fit on 1 tables, so pg_stats hides their columns"


def test_connections_near_their_limit_are_told(newest: Cluster, newest_shop: str) -> None:
    sessions = [newest.connect(newest_shop) for _ in range(33)]
    try:
        found = checks(newest.dsn(newest_shop, user="fit"))
    finally:
        for session in sessions:
            session.close()
    assert found["connection headroom"].status == "limited"
    assert "of 37 connections in use" in found["connection headroom"].found
