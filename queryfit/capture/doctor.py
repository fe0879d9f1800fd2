"""What this role and server allow, what will not be judged for it, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from queryfit.capture import remedies
from queryfit.capture.remedies import fit_role_sql
from queryfit.capture.scope import Filter, Gaps, Scope
from queryfit.capture.server_facts import read_server
from queryfit.capture.statements import StatementStore, find_store, read_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryfit.capture.connect import Reader

__all__ = ["Check", "examine", "fit_role_sql"]

Status = Literal["ok", "limited", "missing"]
Row = dict[str, Any]

OLDEST = 13
NEWEST_TRIED = 18
STATEMENTS = "pg_stat_statements"
LEAST_ENTRIES = 1000  # below it the statements of an ordinary application push each other out
HEADROOM_SHARE = 0.1
LEAST_WINDOW_S = 3600  # rates over less than an hour are extrapolated

SETTINGS = """
    select name, reset_val as value from pg_settings
    where name in ('track_io_timing', 'compute_query_id', 'track_activities', 'track_counts',
        'shared_preload_libraries', 'max_connections', 'superuser_reserved_connections', 'reserved_connections',
        'pg_stat_statements.track', 'pg_stat_statements.max', 'pg_stat_statements.track_planning')
"""
EXTENSIONS = """
    select a.name::text as name, a.installed_version, a.default_version
    from pg_available_extensions as a
    where a.name in ('pg_stat_statements', 'hypopg')
"""
TABLES = """
    select
        count(*) as tables,
        count(*) filter (where not has_table_privilege(c.oid, 'select')) as unreadable,
        count(*) filter (where row_security_active(c.oid)) as secured,
        array_agg(distinct n.nspname::text) as schemas
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""
CONNECTIONS = """
    select
        (select count(*) from pg_stat_activity where backend_type = 'client backend') as used,
        (select count(*) from pg_stat_activity where backend_type = 'client backend' and usename = current_user) as own,
        (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user) as role_limit,
        (select case when datconnlimit >= 0 then datconnlimit end from pg_database where datname = current_database())
            as database_limit
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing examined: `found` is what there is, `cost` what will not be judged for it, `remedy` what mends it.

    `cost` and `remedy` are None where all is well; `remedy` is SQL or a setting for this server's provider.
    """

    name: str
    status: Status
    found: str
    cost: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class _Patient:
    """What the checks look at."""

    scope: Scope
    server: Row
    memberships: set[str]
    settings: Mapping[str, str]
    extensions: Mapping[str, Row]
    tables: Row

    @property
    def provider(self) -> str:
        return str(self.server["provider"])

    @property
    def major(self) -> int:
        return self.scope.major

    @property
    def is_loaded(self) -> bool:
        """pg_stat_statements is in the server: its parameters exist, and every role may see them."""
        return f"{STATEMENTS}.max" in self.settings


def examine(reader: Reader) -> list[Check]:
    """Examine the connected database with the rights of the connected role. Raises QueryfitError."""
    if reader.version_number < OLDEST * 10_000:
        found = f"PostgreSQL {reader.version_number // 10_000}"
        return [Check("version", "missing", found, "everything", f"upgrade to PostgreSQL {OLDEST} or later")]
    role = reader.query("select quote_ident(current_user) as role")[0]["role"]
    scope = Scope(reader, Filter(), Gaps(), role)
    server, memberships = read_server(scope)
    patient = _Patient(
        scope,
        server,
        memberships,
        {row["name"]: row["value"] for row in reader.query(SETTINGS)},
        {row["name"]: row for row in reader.query(EXTENSIONS)},
        reader.query(TABLES)[0],
    )
    store = find_store(reader)
    checks = [_version(patient), _place(patient), _pooler(patient), *_statements(patient, store)]
    checks += [_monitor(patient), _read_all(patient), _row_security(patient), *_tracking(patient)]
    return [*checks, _plans(patient), _hypopg(patient), _connections(patient)]


def _version(patient: _Patient) -> Check:
    found = f"PostgreSQL {patient.server['version']} ({patient.server['provider']})"
    if patient.major > NEWEST_TRIED:
        return Check("version", "limited", found, "what its catalog has new is not read", "upgrade queryfit")
    return Check("version", "ok", found)


def _place(patient: _Patient) -> Check:
    if not patient.server["is_standby"]:
        return Check("primary", "ok", "a primary server")
    return Check(
        "primary",
        "limited",
        "a standby in recovery",
        "writes, vacuum and the use of indexes on the primary are not seen here",
        "audit the primary too, and compare before an index is dropped",
    )


def _pooler(patient: _Patient) -> Check:
    if not patient.server["is_pooled"]:
        return Check("direct connection", "ok", "no pooler between")
    return Check(
        "direct connection",
        "limited",
        "a pooler stands between queryfit and the server",
        "sessions are the pooler's: which client holds a connection is not seen",
        "for findings on connections name the server itself in the DSN",
    )


def _statements(patient: _Patient, store: StatementStore | None) -> Iterator[Check]:
    cost = "no statement is judged: missing indexes, N+1, top consumers, plans"
    known = patient.extensions.get(STATEMENTS)
    if not patient.is_loaded:
        created = known is not None and known["installed_version"] is not None
        yield Check(
            f"{STATEMENTS} loaded",
            "missing",
            "created in this database but not preloaded, so it counts nothing" if created else "not preloaded",
            cost,
            remedies.preload(patient.provider, STATEMENTS, patient.settings.get("shared_preload_libraries"))
            if known is not None
            else f"install the package with {STATEMENTS} (postgresql-contrib), then preload it",
        )
        if not created:
            yield _not_created(patient, cost)
        return
    yield Check(f"{STATEMENTS} loaded", "ok", "preloaded")
    if known is None or known["installed_version"] is None:
        yield _not_created(patient, cost)
        return
    version = known["installed_version"]
    if store is None:
        gaps = Gaps()
        find_store(patient.scope.reader, gaps)
        row = gaps.rows[0]
        yield Check(f"{STATEMENTS} readable", "missing", row["reason"], cost, row["hint"])
        return
    if version != known["default_version"]:
        yield Check(
            f"{STATEMENTS} version",
            "limited",
            f"version {version} where {known['default_version']} is installed",
            "newer counters: time since an entry began, JIT, local I/O",
            f"alter extension {STATEMENTS} update;",
        )
    else:
        yield Check(f"{STATEMENTS} version", "ok", f"version {version}")
    yield from _store_state(patient, read_store(patient.scope.reader, store))


def _not_created(patient: _Patient, cost: str) -> Check:
    return Check(
        f"{STATEMENTS} created",
        "missing",
        f"not created in the database {patient.scope.database}",
        cost,
        remedies.create_extension(patient.provider, STATEMENTS),
    )


def _store_state(patient: _Patient, state: Row) -> Iterator[Check]:
    name = f"{STATEMENTS} capacity"
    found = f"{state['entries']} of {state['maximum_entries'] or '?'} entries"
    if state["evictions"]:
        found += f", evicted {state['evictions']} times"
    if state["evictions"] or (state["maximum_entries"] or LEAST_ENTRIES) < LEAST_ENTRIES:
        yield Check(
            name,
            "limited",
            found,
            "statements that were pushed out are missing from all sums",
            remedies.setting(patient.provider, f"{STATEMENTS}.max", "10000", restarts=True),
        )
    else:
        yield Check(name, "ok", found)
    name = f"{STATEMENTS} window"
    if state["reset_at"] is None:
        yield Check(name, "limited", "the time of the last reset is unknown before version 1.9",
                    "rates per day", "capture twice: the difference has a known window")  # fmt: skip
        return
    seconds = (patient.server["captured_at"] - state["reset_at"]).total_seconds()
    found = f"counts since {state['reset_at']:%Y-%m-%d %H:%M} UTC"
    if seconds < LEAST_WINDOW_S:
        cost = "rates per day worth relying on: they are extrapolated from less than an hour"
        yield Check(name, "limited", found, cost, "audit again after a representative day")
    else:
        yield Check(name, "ok", found)


def _monitor(patient: _Patient) -> Check:
    if {"pg_read_all_stats", "pg_read_all_settings"} <= patient.memberships:
        return Check("pg_monitor", "ok", f"{patient.scope.role} sees all sessions, statements and settings")
    return Check(
        "pg_monitor",
        "missing",
        f"{patient.scope.role} is no member",
        "statements, sessions and lock waits of other roles, some settings, lag of standbys",
        f"grant pg_monitor to {patient.scope.role};",
    )


def _read_all(patient: _Patient) -> Check:
    unreadable, tables = patient.tables["unreadable"], patient.tables["tables"]
    if not unreadable:
        return Check("column statistics", "ok", f"{patient.scope.role} may read all {tables} tables")
    return Check(
        "column statistics",
        "missing" if unreadable == tables else "limited",
        f"{patient.scope.role} may not read {unreadable} of {tables} tables, so pg_stats hides their columns",
        "selectivity of missing indexes, bloat, values of sequences and plans of these tables",
        remedies.read_everything(patient.scope.role, patient.major, patient.tables["schemas"] or ()),
    )


def _row_security(patient: _Patient) -> Check:
    secured = patient.tables["secured"]
    if not secured:
        return Check("row security", "ok", f"applies to {patient.scope.role} on no table")
    return Check(
        "row security",
        "limited",
        f"applies to {patient.scope.role} on {secured} tables, so pg_stats hides their columns",
        "selectivity and bloat of these tables",
        f"alter role {patient.scope.role} bypassrls; -- it then sees all their rows",
    )


def _tracking(patient: _Patient) -> Iterator[Check]:
    # name, wanted value, what its absence costs, is it worth more than a note
    wanted = [
        ("track_io_timing", "on", "time spent reading and writing blocks"),
        ("track_counts", "on", "use of tables and indexes; autovacuum does not work without it"),
        ("track_activities", "on", "what sessions are doing"),
    ]
    if patient.is_loaded:
        wanted += [
            ("compute_query_id", "auto", f"everything about statements: {STATEMENTS} counts nothing"),
            (f"{STATEMENTS}.track", "top", f"everything about statements: {STATEMENTS} counts nothing"),
            (f"{STATEMENTS}.track_planning", "on", "time spent planning (measuring it costs a little)"),
        ]
    for name, value, cost in wanted:
        present = patient.settings.get(name)
        if present is None:
            continue  # newer than this server
        is_off = present in {"off", "none"}
        # without it a rule or two stay silent; the others blind whole families
        status: Status = "ok" if not is_off else "limited" if name.endswith(("planning", "timing")) else "missing"
        yield Check(
            name,
            status,
            present,
            cost if is_off else None,
            remedies.setting(patient.provider, name, value) if is_off else None,
        )


def _plans(patient: _Patient) -> Check:
    by = "EXPLAIN of forced generic plans"
    if patient.server["is_superuser"]:
        return Check(
            "plans",
            "limited",
            f"{by}, as a superuser",
            "statements that may reach a function of an ordinary role are not planned",
            "audit as a role without superuser: less is at stake, and more is planned",
        )
    if patient.tables["tables"] and patient.tables["unreadable"] == patient.tables["tables"]:
        remedy = remedies.read_everything(patient.scope.role, patient.major, patient.tables["schemas"] or ())
        return Check("plans", "missing", "the role may read no table", "plans of statements", remedy)
    return Check("plans", "ok", f"{by}; of INSERT, UPDATE and DELETE only where the role may run them")


def _hypopg(patient: _Patient) -> Check:
    known = patient.extensions.get("hypopg")
    if known is not None and known["installed_version"] is not None:
        return Check("hypopg", "ok", f"version {known['installed_version']}")
    if known is not None:
        return Check("hypopg", "limited", "installed, not created here", "a second opinion on what an index would save",
                     remedies.create_extension(patient.provider, "hypopg"))  # fmt: skip
    return Check("hypopg", "limited", "not installed", "a second opinion on what an index would save",
                 "optional: install the package hypopg")  # fmt: skip


def _connections(patient: _Patient) -> Check:
    row = patient.scope.reader.query(CONNECTIONS)[0]
    reserved = sum(
        int(patient.settings.get(name, 0)) for name in ("superuser_reserved_connections", "reserved_connections")
    )
    limit = int(patient.settings["max_connections"]) - reserved
    found = f"{row['used']} of {limit} connections in use"
    if row["role_limit"] is not None:
        found += f", {row['own']} of {row['role_limit']} of this role"
    if row["used"] > limit * (1 - HEADROOM_SHARE):
        return Check(
            "connection headroom",
            "limited",
            found,
            "queryfit takes one; at the limit applications are refused",
            "look at who holds them: queryfit audit, findings on connections",
        )
    return Check("connection headroom", "ok", found)
