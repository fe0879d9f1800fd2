"""Which history of the store a report is about."""

from __future__ import annotations

import json

from queryfit.errors import QueryfitError, UsageError
from queryfit.evidence.store import Store
from queryfit.history import Scope, scopes
from queryfit.history.choosing import choose_scope

_HINT = "name one: `queryfit report NAME`, by its database or the beginning of its identifier"


def choose(store: Store, target: str | None) -> Scope:
    """The history that a database's name, a system identifier or a DSN means; the only one without any.

    A DSN is asked for the server's identifier; where the server does not answer, the name of its database decides.
    Raises QueryfitError where there is none, UsageError where there are several.
    """
    if target is None or not ("=" in target or "://" in target):
        return choose_scope(store, target, hint=_HINT)
    identifier, database, is_standby = _asked(target)
    if identifier is None and database is None:
        return choose_scope(store, hint=_HINT)
    found = [
        scope
        for scope in scopes(store)
        if (identifier is None or scope.system_identifier == identifier)
        and (database is None or _part(scope.scope, 0) == database)
    ]
    if len(found) > 1 and is_standby is not None:  # a standby has its primary's identifier
        found = [scope for scope in found if _part(scope.scope, 1) == is_standby] or found
    if len(found) == 1:
        return found[0]
    where = f"database {database}" + (f" of server {identifier}" if identifier else "")
    if not found:
        raise QueryfitError(
            f"the store {store.folder} holds no capture of {where}",
            hint="take one: `queryfit capture` with the same DSN",
        )
    listed = ", ".join(f"{scope.label} ({scope.system_identifier})" for scope in found)
    raise UsageError(f"the store holds several histories of {where}: {listed}", hint=_HINT)


def _asked(dsn: str) -> tuple[str | None, str | None, bool | None]:
    """Of the server behind a DSN: its identifier, the database, whether it is a standby; None where it is not known."""
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 -- psycopg loads only where a DSN is given

    from queryfit.capture.connect import QueryError, connect  # noqa: PLC0415

    try:
        with connect(dsn) as reader:
            try:
                told = reader.query("select system_identifier::text as id from pg_control_system()")
            except QueryError:
                return None, reader.database, None
            (row,) = reader.query("select pg_is_in_recovery() as is_standby")
            return str(told[0]["id"]), reader.database, bool(row["is_standby"])
    except UsageError:
        raise
    except QueryfitError:  # a report needs no server that is up
        parts = conninfo_to_dict(dsn)
        name = parts.get("dbname") or (None if "service" in parts else parts.get("user"))
        return None, str(name) if name else None, None


def _part(scope: str, place: int) -> str | bool | None:
    """What a scope says of its captures: at 0 the database that they connected to, at 1 if it was on a standby."""
    try:
        part = json.loads(scope)[place]
    except (ValueError, TypeError, IndexError, KeyError):
        return None
    return part if isinstance(part, str | bool) else None
