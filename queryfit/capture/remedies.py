"""How to change a server, by who runs it: a setting, a preloaded library, a role that is fit to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

CONNECTION_LIMIT = 3  # one capture takes one connection; a person and a scheduled run may meet
FIRST_WITH_READ_ALL_DATA = 14
_RDS = ("rds", "aurora")


def quoted_identifier(name: str) -> str:
    """Return a name as SQL takes it anywhere, always quoted unless it is plain lower case."""
    is_plain = name.isascii() and name.isidentifier() and name == name.lower()
    return name if is_plain else '"{}"'.format(name.replace('"', '""'))


def _literal(value: str) -> str:
    return "'{}'".format(value.replace("'", "''"))


def setting(provider: str, name: str, value: str, *, restarts: bool = False) -> str:
    """Say how to change a configuration parameter of the server."""
    if provider in _RDS:
        return f"in the DB parameter group: {name} = {value}{', then reboot the instance' if restarts else ''}"
    if provider == "cloudsql":
        return (
            f"gcloud sql instances patch INSTANCE --database-flags={name}={value}"
            " (name the flags already set too: it replaces them all)"
        )
    if provider == "azure":
        then = "; then az postgres flexible-server restart" if restarts else ""
        return (
            "az postgres flexible-server parameter set --resource-group GROUP --server-name SERVER"
            f" --name {name} --value {value}{then}"
        )
    if provider == "supabase":
        return f"supabase --experimental postgres-config update --config {name}={value} (or ask their support)"
    then = "then restart the server" if restarts else "select pg_reload_conf();"
    return f"alter system set {name} = {_literal(value)}; {then}"


def preload(provider: str, library: str, present: str | None = None) -> str:
    """Say how to have a library loaded at server start; `present` is shared_preload_libraries now, if known."""
    if provider in _RDS:
        return f"in the DB parameter group: add {library} to shared_preload_libraries, then reboot the instance"
    if provider == "cloudsql":
        return f"Cloud SQL loads {library} by itself: restart the instance, or ask Google's support"
    if provider == "azure":
        return (
            f"in the server parameters: add {library} to shared_preload_libraries and to azure.extensions,"
            " then restart the server"
        )
    if provider == "supabase":
        return f"in the dashboard, Database > Extensions: enable {library}, then restart the project"
    if present is None:
        return f"add {library} to shared_preload_libraries (keep what is there) and restart the server"
    libraries = [word for word in (part.strip() for part in present.split(",")) if word]
    value = ", ".join(_literal(word) for word in [*libraries, library])
    return f"alter system set shared_preload_libraries = {value}; then restart the server"


def create_extension(provider: str, extension: str) -> str:
    """Say how to create an extension in the connected database."""
    schema = " with schema extensions" if provider == "supabase" else ""
    before = f"allow {extension} in azure.extensions, then: " if provider == "azure" else ""
    return f"{before}create extension {quoted_identifier(extension)}{schema};"


def read_everything(role: str, major: int, schemas: Collection[str] = ()) -> str:
    """Say how to let a role (quoted) read all tables, and with it their statistics."""
    if major >= FIRST_WITH_READ_ALL_DATA:
        return f"grant pg_read_all_data to {role};"
    names = ", ".join(quoted_identifier(schema) for schema in schemas) or "…"
    return (
        f"grant usage on schema {names} to {role}; grant select on all tables in schema {names} to {role};"
        f" grant select on all sequences in schema {names} to {role};"
    )


def fit_role_sql(provider: str, role_name: str, *, major: int = 18, schemas: Collection[str] = ()) -> str:
    """SQL that makes a role fit for a whole audit and nothing more, to be run by an administrator.

    `major` is the server's version and `schemas` those of the application: both matter before PostgreSQL 14 only.
    """
    role = quoted_identifier(role_name)
    by_whom = {
        "rds": "the master user (rds_superuser)",
        "aurora": "the master user (rds_superuser)",
        "cloudsql": "the user postgres (cloudsqlsuperuser)",
        "azure": "the server's administrator (azure_pg_admin)",
        "supabase": "the user postgres",
    }.get(provider, "a superuser")
    lines = [
        f"-- Run as {by_whom}, in the database to look at.",
        f"create role {role} login connection limit {CONNECTION_LIMIT};",
        f"\\password {role}",
        "-- statements and sessions of all roles, and all settings",
        f"grant pg_monitor to {role};",
        "-- statistics of columns, values of sequences, and plans of SELECT",
        *(f"{part.strip()};" for part in read_everything(role, major, schemas).split(";") if part.strip()),
    ]
    if provider in {"azure", "cloudsql"} and major >= FIRST_WITH_READ_ALL_DATA:
        lines += [
            "-- where that grant is refused:",
            *(f"-- {part.strip()};" for part in read_everything(role, 13, schemas).split(";") if part.strip()),
        ]
    lines += [
        "-- a belt to the braces: queryfit opens nothing but read-only transactions",
        f"alter role {role} set default_transaction_read_only = on;",
        create_extension(provider, "pg_stat_statements").replace("create extension", "create extension if not exists"),
    ]
    return "\n".join(lines) + "\n"
