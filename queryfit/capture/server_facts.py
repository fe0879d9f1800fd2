"""Facts about the server as a whole: identity, settings, roles, databases, checkpoints, replication, vacuums."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from queryfit.capture.connect_errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from queryfit.capture.scope import Scope

Row = dict[str, Any]

SERVER = """
    select
        current_setting('server_version_num')::int4 as version_number,
        current_setting('server_version') as version,
        pg_is_in_recovery() as is_standby,
        pg_backend_pid() as backend_pid,
        pg_postmaster_start_time() at time zone 'UTC' as started_at,
        clock_timestamp() at time zone 'UTC' as captured_at,
        (select stats_reset at time zone 'UTC' from pg_stat_database where datname = current_database())
            as counters_since,
        current_user::text as role,
        (select rolsuper from pg_roles where rolname = current_user) as is_superuser,
        (select count(*)::int4 from pg_stat_replication) as standbys,
        inet_server_addr()::text as address,
        inet_server_port() as port,
        exists (select from pg_proc where proname = 'aurora_version') as is_aurora,
        array(
            select rolname::text from pg_roles
            where rolname in ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin', 'supabase_admin')
        ) as telltale_roles,
        array(
            select distinct split_part(name, '.', 1) from pg_settings
            where name ~ '^(rds|aurora|cloudsql|azure|supautils)[.]'
        ) as telltale_settings
"""
MEMBERSHIPS = """
    select rolname::text as role, pg_has_role(current_user, oid, 'usage') as is_member
    from pg_roles
    where rolname in ('pg_monitor', 'pg_read_all_data', 'pg_read_all_settings', 'pg_read_all_stats')
"""

SETTINGS = """
    select
        name,
        -- our transaction has its own timeouts, search_path and so on: the value that RESET would give is the server's
        reset_val as value,
        unit,
        case when source <> 'session' then source when reset_val = boot_val then 'default' end as source,
        boot_val as boot_value,
        pending_restart as is_pending_restart
    from pg_settings
"""
_BYTES = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}

ROLES = """
    select rolname::text as role, rolsuper as is_superuser, nullif(rolconnlimit, -1) as connection_limit,
        rolreplication as is_replication
    from pg_roles
    where rolcanlogin
"""

TABLESPACES = """
    select spcname::text as tablespace, array_to_string(spcoptions, ', ') as options,
        spcoptions::text[] as option_list
    from pg_tablespace
"""

DATABASES = """
    select
        d.datname::text as database,
        d.datistemplate as is_template,
        pg_encoding_to_char(d.encoding)::text as encoding,
        {locale}
        d.datcollate::text as collate_locale,
        d.datctype::text as character_locale,
        ts.spcname::text as tablespace,
        d.datallowconn as allows_connections,
        case when d.datconnlimit >= 0 then d.datconnlimit end as connection_limit,
        s.numbackends as connections,
        case
            when {sizes} and (has_database_privilege(d.oid, 'connect') or $1::bool) then pg_database_size(d.oid)
        end as size_bytes,
        age(d.datfrozenxid)::int8 as age_xids,
        mxid_age(d.datminmxid)::int8 as age_multixacts,
        s.xact_commit as commits,
        s.xact_rollback as rollbacks,
        s.blks_read as blocks_read,
        s.blks_hit as blocks_hit,
        s.temp_files as temp_files,
        s.temp_bytes as temp_bytes,
        s.deadlocks as deadlocks,
        {sessions}
        s.stats_reset at time zone 'UTC' as counters_since
    from pg_database as d
    left join pg_stat_database as s on s.datid = d.oid
    left join pg_tablespace as ts on ts.oid = d.dattablespace
"""
_LOCALE = """
        case d.datlocprovider when 'c' then 'libc' when 'i' then 'icu' when 'b' then 'builtin' end as locale_provider,
        d.{column}::text as locale,
"""
_SESSION_COUNTERS = """
        s.sessions as sessions,
        s.sessions_abandoned as sessions_abandoned,
        s.sessions_fatal as sessions_fatal,
        s.sessions_killed as sessions_killed,
        s.active_time as active_ms,
        s.idle_in_transaction_time as idle_in_transaction_ms,
"""

CHECKPOINT_17 = """
    select num_timed as timed, num_requested as requested, write_time as write_ms, sync_time as sync_ms,
        buffers_written as buffers, stats_reset at time zone 'UTC' as counted_since
    from pg_stat_checkpointer
"""
CHECKPOINT_13 = """
    select checkpoints_timed as timed, checkpoints_req as requested, checkpoint_write_time as write_ms,
        checkpoint_sync_time as sync_ms, buffers_checkpoint as buffers, stats_reset at time zone 'UTC' as counted_since
    from pg_stat_bgwriter
"""

IO = """
    select backend_type, object, context, reads, {read_bytes} as read_bytes, read_time as read_ms, writes,
        {write_bytes} as write_bytes, write_time as write_ms, extends, hits, evictions, fsyncs
    from pg_stat_io
"""

# On a standby the position is what it has replayed: pg_current_wal_lsn() is refused there.
_POSITION = "case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end"

REPLICAS = f"""
    select
        application_name as application,
        coalesce(host(client_addr), case when state is not null then 'local' end) as client,
        state,
        sync_state,
        pg_wal_lsn_diff({_POSITION}, replay_lsn)::int8 as replay_lag_bytes,
        extract(epoch from replay_lag)::float8 * 1000 as replay_lag_ms,
        age(backend_xmin)::int8 as xmin_age_xids
    from pg_stat_replication
"""

SLOTS = f"""
    select
        slot_name::text as slot,
        slot_type as kind,
        database::text as database,
        active as is_active,
        temporary as is_temporary,
        wal_status,
        pg_wal_lsn_diff({_POSITION}, restart_lsn)::int8 as retained_bytes,
        age(xmin)::int8 as xmin_age_xids,
        age(catalog_xmin)::int8 as catalog_xmin_age_xids,
        {{inactive_since}} at time zone 'UTC' as inactive_since
    from pg_replication_slots
"""

PREPARED = """
    select gid, database::text as database, owner::text as owner,
        extract(epoch from clock_timestamp() - prepared)::float8 * 1000 as age_ms,
        age(transaction)::int8 as xid_age_xids
    from pg_prepared_xacts
"""

VACUUMS = """
    select
        v.pid,
        v.datname::text as database,
        case when c.oid is not null then quote_ident(n.nspname) || '.' || quote_ident(c.relname) end as relation,
        v.phase,
        v.heap_blks_total as heap_blocks,
        v.heap_blks_scanned as heap_blocks_scanned
    from pg_stat_progress_vacuum as v
    left join pg_class as c on c.oid = v.relid and v.datname = current_database()
    left join pg_namespace as n on n.oid = c.relnamespace
"""


def read_server(scope: Scope) -> tuple[Row, set[str]]:
    """Return the row of the evidence table `server`, and the predefined roles whose rights the capture has."""
    row = scope.reader.query(SERVER)[0]
    memberships = {one["role"] for one in scope.reader.query(MEMBERSHIPS) if one["is_member"]}
    if row["is_superuser"]:
        memberships |= {"pg_monitor", "pg_read_all_data", "pg_read_all_settings", "pg_read_all_stats"}
    row["is_pooled"] = row.pop("backend_pid") != scope.reader.announced_pid
    row["provider"] = provider(
        roles=row.pop("telltale_roles"), settings=row.pop("telltale_settings"), is_aurora=row.pop("is_aurora")
    )
    address, port = row.pop("address"), row.pop("port")
    row["system_identifier"] = _system_identifier(scope, address, port)
    row["has_monitor"] = "pg_monitor" in memberships
    row["has_read_all_data"] = "pg_read_all_data" in memberships
    return row, memberships


def _system_identifier(scope: Scope, address: str | None, port: int | None) -> str:
    try:
        told = str(scope.reader.query("select system_identifier::text as id from pg_control_system()")[0]["id"])
    except QueryError:
        told = ""
    if not re.fullmatch(r"[0-9]{1,20}", told):  # it names a folder of the store: nothing but digits gets in
        info = scope.reader.connection.info
        oids = scope.reader.query("select oid::int8 as oid, datname::text as name from pg_database order by oid")
        words = [address or info.host, str(port or info.port), *(f"{row['oid']} {row['name']}" for row in oids)]
        told = "x" + hashlib.sha256("\n".join(words).encode()).hexdigest()[:18]
    return told


def provider(*, roles: Collection[str], settings: Collection[str], is_aurora: bool) -> str:
    """Who runs the server, by the roles and settings that only they create."""
    if is_aurora or "aurora" in settings:
        return "aurora"
    if "rds_superuser" in roles or "rds" in settings:
        return "rds"
    if "cloudsqlsuperuser" in roles or "cloudsql" in settings:
        return "cloudsql"
    if "azure_pg_admin" in roles or "azure" in settings:
        return "azure"
    if "supabase_admin" in roles or "supautils" in settings:
        return "supabase"
    return "self-hosted"


def read_settings(scope: Scope, memberships: Collection[str]) -> list[Row]:
    """Rows of the evidence table `setting`."""
    rows = scope.read("setting", SETTINGS)
    for row in rows:
        row.update(in_base_units(row["value"], row["unit"]))
    if "pg_read_all_settings" not in memberships:
        scope.gaps.add(
            "setting",
            "settings that only superusers and pg_read_all_settings may see are missing",
            hint=f"grant pg_monitor to {scope.role};",
        )
    return rows


def in_base_units(value: str | None, unit: str | None) -> dict[str, float | None]:
    """Return value_bytes, value_ms and value_number of a setting; a negative value (off, automatic) has no amount."""
    amounts: dict[str, float | None] = {"value_bytes": None, "value_ms": None, "value_number": None}
    try:
        number = float(value or "")
    except ValueError:
        return amounts
    if abs(number) == float("inf") or number != number:  # noqa: PLR0124 - NaN
        return amounts
    if unit is None:
        amounts["value_number"] = number
    elif number >= 0:
        digits = unit[: len(unit) - len(unit.lstrip("0123456789"))]  # 8kB
        name = unit[len(digits) :]
        if name in _BYTES:
            amounts["value_bytes"] = number * int(digits or 1) * _BYTES[name]
        elif name in _MILLISECONDS:
            amounts["value_ms"] = number * int(digits or 1) * _MILLISECONDS[name]
    return amounts


def read_roles(scope: Scope) -> list[Row]:
    """Rows of the evidence table `role`."""
    return scope.read("role", ROLES)


def read_tablespaces(scope: Scope) -> list[Row]:
    """Rows of the evidence table `tablespace`."""
    rows = scope.read("tablespace", TABLESPACES)
    for row in rows:
        options = dict(option.partition("=")[::2] for option in row.pop("option_list") or ())
        row["sequential_page_cost"] = float(options["seq_page_cost"]) if "seq_page_cost" in options else None
        row["random_page_cost"] = float(options["random_page_cost"]) if "random_page_cost" in options else None
    return rows


def read_databases(scope: Scope, memberships: Collection[str], captured: Collection[str]) -> list[Row]:
    """Rows of the evidence table `database`; `captured` are those whose catalog is read."""
    sessions = _SESSION_COUNTERS if scope.is_at_least(14) else ""
    locale = _LOCALE.format(column="datlocale" if scope.is_at_least(17) else "daticulocale")
    if not scope.is_at_least(15):
        locale = "'libc' as locale_provider,"
    params = ["pg_read_all_stats" in memberships]
    try:
        rows = scope.reader.query(DATABASES.format(sizes="true", sessions=sessions, locale=locale), params)
    except QueryError as error:  # a database may be dropped while its files are counted
        scope.gaps.add("database", f"sizes could not be read: {error.message}", hint="capture again")
        rows = scope.read("database", DATABASES.format(sizes="false", sessions=sessions, locale=locale), params)
    for row in rows:
        row["is_captured"] = row["database"] in captured
    return rows


def read_checkpoints(scope: Scope) -> list[Row]:
    return scope.read("checkpoint", CHECKPOINT_17 if scope.is_at_least(17) else CHECKPOINT_13)


def read_io(scope: Scope) -> list[Row]:
    """Rows of the evidence table `io`, from PostgreSQL 16."""
    if not scope.is_at_least(16):
        scope.gaps.add("io", "pg_stat_io came with PostgreSQL 16", hint=None)
        return []
    if scope.is_at_least(18):
        return scope.read("io", IO.format(read_bytes="read_bytes::int8", write_bytes="write_bytes::int8"))
    return scope.read("io", IO.format(read_bytes="reads * op_bytes", write_bytes="writes * op_bytes"))


def read_replication(scope: Scope) -> tuple[list[Row], list[Row]]:
    """Rows of the evidence tables `replica` and `replication_slot`."""
    replicas = scope.read("replica", REPLICAS)
    if any(row["state"] is None for row in replicas):
        scope.gaps.add(
            "replica",
            "the role may not see the state of standbys",
            hint=f"grant pg_monitor to {scope.role};",
        )
    inactive_since = "inactive_since" if scope.is_at_least(17) else "null::timestamptz"
    return replicas, scope.read("replication_slot", SLOTS.format(inactive_since=inactive_since))


def read_prepared_transactions(scope: Scope) -> list[Row]:
    return scope.read("prepared_transaction", PREPARED)


def read_vacuums(scope: Scope, databases: Iterable[str | None]) -> list[Row]:
    """Rows of the evidence table `vacuum_progress` of the databases given."""
    wanted = set(databases)
    rows = [row for row in scope.read("vacuum_progress", VACUUMS) if row["database"] in wanted]
    visible = [row for row in rows if row["phase"] is not None]
    if len(visible) < len(rows):
        scope.gaps.add(
            "vacuum_progress",
            "the role may not see the progress of other roles' vacuums",
            hint=f"grant pg_monitor to {scope.role};",
            database=scope.database,
        )
    return visible
