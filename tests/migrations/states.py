"""One statement on a server and in the model: whether it is refused, and the schema that it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg

from queryfit.migrations.model import Database
from queryfit.migrations.replay import Run, replay
from tests.migrations.histories import Facts, of_model, of_server
from tests.migrations.truth import file_of
from tests.servers import Cluster

_RESET = (
    "do $$ declare name text; begin "
    "for name in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop "
    "execute format('drop schema %I cascade', name); end loop; end $$; create schema public; reset all; discard temp; "
    "set client_min_messages = error"
)
_NOT_NULLS = """
    select quote_ident(n.nspname) || '.' || quote_ident(c.relname), k.conname::text, k.convalidated
    from pg_constraint as k join pg_class as c on c.oid = k.conrelid join pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'n' and c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""


class States:
    """A database in which statements are tried, each on a state of its own."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], version: int) -> None:
        self._connection = connection
        self._version = version

    def differences(self, before: str, statements: Iterable[str]) -> list[str]:
        """What the model says otherwise than the server, each as one line."""
        found = []
        for statement in statements:
            found += [f"{statement}: {line}" for line in self._differences(before, statement)]
        return found

    def _differences(self, before: str, statement: str) -> Iterator[str]:
        self._connection.execute(_RESET.encode())
        self._connection.execute(before.encode())
        error = None
        try:
            self._connection.execute(statement.encode())
        except psycopg.Error as failure:
            error = str(failure).splitlines()[0]
        run = modelled(before, statement, self._version)
        refusal = next((step.refusal for step in run.steps if step.refusal is not None), None)
        if (error is None) != (refusal is None):
            yield f"server {error or 'accepts'}, model {refusal or 'accepts'}"
        if error is not None and ";" in statement:
            return  # the server took back the first of several statements, too
        unfollowed = [step.unfollowed for step in run.steps if step.unfollowed is not None]
        if unfollowed:
            yield f"not followed: {unfollowed}"
        server, model = self._of_server(), _of_model(run)
        for part in server:
            for side, facts in (("server", server[part] - model[part]), ("model", model[part] - server[part])):
                yield from (f"only the {side} has {part} {fact}" for fact in sorted(facts, key=str))

    def _of_server(self) -> Facts:
        facts = of_server(self._connection)
        facts["not nulls"] = {tuple(row) for row in self._connection.execute(_NOT_NULLS.encode())}
        return facts


def modelled(before: str, statement: str, version: int) -> Run:
    """The statement, or several, replayed on the state that others make; what nobody made does not exist."""
    first = replay([file_of("before.sql", [before], "each")], version=version, before=Database(is_complete=True))
    refused = [step.refusal for step in first.steps if step.refusal is not None]
    assert not refused, refused
    return replay([file_of("case.sql", [statement], "each")], version=version, before=first.databases[0])


def _of_model(run: Run) -> Facts:
    facts = of_model(run.databases[0])
    facts["not nulls"] = {
        (relation.text, constraint.name, constraint.is_validated)
        for relation in run.databases[0].relations.values()
        if relation.name.schema != "pg_temp"
        for constraint in relation.constraints.values()
        if constraint.kind == "not null"
    }
    return facts


@contextmanager
def states(cluster: Cluster, database: str) -> Iterator[States]:
    """A connection to try statements with."""
    with psycopg.connect(cluster.dsn(database), autocommit=True) as connection:
        yield States(connection, cluster.version)
