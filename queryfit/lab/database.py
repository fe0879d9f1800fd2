"""The database of a lab before anything captured is in it: locale, roles, extensions, stand-ins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from queryfit.lab import files
from queryfit.lab.carried import NotCarried
from queryfit.lab.schema import PLACEHOLDER_SERVER

if TYPE_CHECKING:
    from queryfit.lab.facts import Row

DATABASE = "lab"
OWNER = "queryfit_owner"  # owns all that was captured; no superuser
READER = "queryfit_reader"  # owns nothing, so policies bind it
STATEMENT_TIMEOUT = "60s"  # a captured function may run while a statement is planned
# Not trusted by their authors, so only a superuser creates them; these reach neither files nor the network.
_HARMLESS = frozenset({
    "bloom", "earthdistance", "pg_stat_statements", "vector", "postgis", "postgis_topology", "pgrouting", "rum",
    "pg_hint_plan", "hll", "ip4r", "semver", "prefix", "periods", "temporal_tables", "isn", "pg_bigm", "orafce",
})  # fmt: skip
_C_LOCALES = frozenset({"C", "POSIX"})
_BUILTIN_SINCE = 17
_ICU_IN_DATABASE_SINCE = 15


def create(connection: psycopg.Connection[Any], version: int, captured: Row | None) -> list[NotCarried]:
    """Create the roles and the database, in the captured locale or the nearest to it. As superuser, in `postgres`."""
    for role in (OWNER, READER):
        connection.execute(sql.SQL("create role {} login connection limit 15").format(sql.Identifier(role)))
        connection.execute(
            sql.SQL("alter role {} set statement_timeout = {}").format(
                sql.Identifier(role), sql.Literal(STATEMENT_TIMEOUT)
            )
        )
    missing: list[NotCarried] = []
    tried = list(_locales(version, captured))
    for number, (clause, loss) in enumerate(tried):
        try:
            connection.execute(
                sql.SQL("create database {} owner {} template template0 encoding 'UTF8' {}").format(
                    sql.Identifier(DATABASE), sql.Identifier(OWNER), clause
                )
            )
        except psycopg.Error:
            if number == len(tried) - 1:
                raise
            continue
        if loss is not None:
            missing.append(NotCarried("collation", "default", loss, changes_plans=False))
        break
    # other databases are not the captured code's to visit
    connection.execute(b"revoke connect on database postgres, template1 from public")
    return missing


def _locales(version: int, captured: Row | None) -> Iterable[tuple[sql.Composable, str | None]]:
    """CREATE DATABASE clauses to try in order, each with what is lost by it."""
    facts = captured or {}
    provider, collation = facts.get("locale_provider"), facts.get("collate_locale")
    locale = facts.get("locale")
    ctype = facts.get("character_locale") or collation
    if provider == "icu" and locale and version >= _ICU_IN_DATABASE_SINCE:
        yield sql.SQL("locale_provider icu icu_locale {} locale 'C'").format(sql.Literal(locale)), None
    if provider == "builtin" and locale and version >= _BUILTIN_SINCE:
        yield sql.SQL("locale_provider builtin builtin_locale {} locale 'C'").format(sql.Literal(locale)), None
    if provider in {None, "libc"} and collation:
        yield sql.SQL("lc_collate {} lc_ctype {}").format(sql.Literal(collation), sql.Literal(ctype)), None
    wanted = locale or collation
    if not wanted:
        yield sql.SQL("lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8'"), "the capture does not say how texts are ordered"
    loss = f"texts are ordered by code point, not as {wanted} orders them: ranges of texts are estimated otherwise"
    if wanted in _C_LOCALES or (provider == "builtin" and wanted):
        yield sql.SQL("lc_collate 'C' lc_ctype 'C'"), None if wanted in _C_LOCALES else loss
    # never C for another locale: under C a plain index on text serves LIKE 'x%', and plans would promise that
    for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8", "en_US.utf8"):
        yield (
            sql.SQL("lc_collate {} lc_ctype {}").format(sql.Literal(name), sql.Literal(name)),
            loss if wanted else None,
        )
    yield sql.SQL("lc_collate 'C' lc_ctype 'C'"), loss


def furnish(connection: psycopg.Connection[Any]) -> None:
    """What the lab needs of its own in the new database, as superuser."""
    for statement in files.OBJECTS:
        connection.execute(statement.encode())
    roles = sql.SQL(", ").join([sql.Identifier(OWNER), sql.Identifier(READER)])
    for statement in (
        "revoke all on all functions in schema {schema} from public",
        "grant usage on schema {schema} to {roles}",
        "grant select on {schema}.extent to {roles}",
        "grant execute on all functions in schema {schema} to {roles}",
        "grant all on schema public to {owner}",
        # a wrapper without a handler: planning a statement over its tables is refused, as it should be
        "create foreign data wrapper {wrapper}",
        "create server {wrapper} foreign data wrapper {wrapper}",
        "grant usage on foreign server {wrapper} to {owner}",
        # everything that the owner makes is the reader's to use
        "alter default privileges for role {owner} grant all on tables to {reader}",
        "alter default privileges for role {owner} grant all on sequences to {reader}",
        "alter default privileges for role {owner} grant usage on schemas to {reader}",
    ):
        connection.execute(
            sql.SQL(statement).format(
                schema=sql.Identifier(files.SCHEMA),
                roles=roles,
                owner=sql.Identifier(OWNER),
                reader=sql.Identifier(READER),
                wrapper=sql.Identifier(PLACEHOLDER_SERVER),
            )
        )


def create_tablespaces(connection: psycopg.Connection[Any], rows: Iterable[Row], own: str | None) -> frozenset[str]:
    """Create the tablespaces whose pages have a price of their own, inside the data folder; their names.

    The prices of the database's `own` are those of the lab's default one.
    As superuser: nothing but quoted names and numbers gets into the text.
    """
    made = set()
    for row in rows:
        costs = {
            option: row[column]
            for option, column in (("seq_page_cost", "sequential_page_cost"), ("random_page_cost", "random_page_cost"))
            if row[column] is not None
        }
        if not costs:
            continue
        is_own = row["tablespace"] == own
        name = sql.Identifier("pg_default" if is_own else row["tablespace"])
        try:
            if not is_own:
                connection.execute(b"set allow_in_place_tablespaces = on")  # from 15
                connection.execute(sql.SQL("create tablespace {} location ''").format(name))
        except psycopg.Error:
            continue
        options = sql.SQL(", ").join(
            sql.SQL(f"{option} = {{}}").format(sql.Literal(cost)) for option, cost in costs.items()
        )
        connection.execute(sql.SQL("alter tablespace {} set ({})").format(name, options))
        if not is_own:
            connection.execute(sql.SQL("grant create on tablespace {} to {}").format(name, sql.Identifier(OWNER)))
            made.add(row["tablespace"])
    return frozenset(made)


def create_extensions(
    connection: psycopg.Connection[Any], rows: Iterable[Row]
) -> tuple[frozenset[str], list[NotCarried]]:
    """Create the extensions that this server has and that can do no harm; their names, and what is not carried.

    As superuser: nothing but quoted names gets into the text.
    """
    available = dict(
        connection.execute(
            b"select name, bool_or(trusted) from pg_catalog.pg_available_extension_versions group by name"
        ).fetchall()
    )
    made: set[str] = {"plpgsql"}
    missing: list[NotCarried] = []
    for row in rows:
        name = row["extension"]
        if name in made:
            continue
        if name not in available:
            reason = "this PostgreSQL does not have it: its functions are stubs, its types are missing"
            missing.append(NotCarried("extension", name, reason, changes_plans=False))
            continue
        if not available[name] and name not in _HARMLESS:
            reason = "it may reach files or the network, so the lab does without it: its functions are stubs"
            missing.append(NotCarried("extension", name, reason, changes_plans=False))
            continue
        try:
            connection.execute(
                sql.SQL("create extension if not exists {} schema {} cascade").format(
                    sql.Identifier(name), sql.Identifier(row["schema"])
                )
            )
        except psycopg.Error:
            try:  # one that has a schema of its own
                connection.execute(sql.SQL("create extension if not exists {} cascade").format(sql.Identifier(name)))
            except psycopg.Error as error:
                missing.append(NotCarried("extension", name, str(error).partition("\n")[0], changes_plans=False))
                continue
        made.add(name)
    return frozenset(made), missing
