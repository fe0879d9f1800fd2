"""Scripts that a server refuses: what the model says of each, held against what the server says."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from pglast import parser

from queryfit.migrations.files import MigrationFile
from queryfit.migrations.replay import replay
from tests.servers import Cluster

_RESET = (
    "do $$ declare name text; begin "
    "for name in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop "
    "execute format('drop schema %I cascade', name); end loop; end $$; create schema public; reset all; discard all"
)
Refusal = tuple[int, str] | None  # the statement's place in the script, and the message


def of_server(cluster: Cluster, database: str, scripts: Sequence[str]) -> list[Refusal]:
    """The first error of each script, run statement by statement in one session on an empty database."""
    found: list[Refusal] = []
    for script in scripts:
        with cluster.connect(database) as connection:
            for statement in parser.split(_RESET):
                connection.execute(statement.encode())
            refusal: Refusal = None
            for place, statement in enumerate(parser.split(script)):
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    refusal = place, error.diag.message_primary or ""
                    break
            found.append(refusal)
    return found


def of_model(version: int, scripts: Sequence[str]) -> list[Refusal]:
    """The first refusal of each script, as the rule refused-by-postgresql would tell it."""
    found: list[Refusal] = []
    for script in scripts:
        run = replay([MigrationFile(None, "1.sql", script, script, "psql", "each")], version=version)
        place = -1
        refusal: Refusal = None
        for step in run.steps:
            place += not step.is_nested
            if step.refusal is not None:
                refusal = place, step.refusal
                break
        found.append(refusal)
    return found
