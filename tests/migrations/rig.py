"""Runs the corpus on a real server; cases that share a state share its making."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import psycopg

from queryfit.migrations.trace.observed import Observed
from queryfit.migrations.trace.run import Tracer
from queryfit.migrations.trace.wire import IDLE, Session
from tests.migrations.corpus.case import Case
from tests.servers import Cluster

ROLE = "corpus"
# what a transaction rolls back is all that such statements do
_STEERING = ("begin", "commit", "rollback", "start", "end", "savepoint", "release", "declare", "lock", "abort")
_RESET = (
    "do $$ declare name text; begin "
    "for name in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop "
    "execute format('drop schema %I cascade', name); end loop; end $$; create schema public; reset all; "
    "discard temp"
)


class Rig:
    """One session on a database of a cluster, and the state that the last case left there."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        if not cluster.run(f"select from pg_roles where rolname = '{ROLE}'"):
            cluster.run(f"create role {ROLE} login")
        cluster.run(f'alter database "{database}" owner to {ROLE}')
        cluster.run("drop extension if exists pg_stat_statements", database=database)  # its views are no part of it

        def connect() -> psycopg.Connection[tuple[object, ...]]:
            connection = psycopg.connect(cluster.dsn(database, ROLE), autocommit=True, prepare_threshold=None)
            connection.add_notice_handler(lambda _: None)
            return connection

        self.tracer = Tracer(connect, watch=connect, deadline=time.monotonic() + 3600)
        self.session: Session = self.tracer.session()
        self.state: tuple[str, ...] | None = None

    def close(self) -> None:
        self.session.close()
        self.tracer.close()

    def arrange(self, before: tuple[str, ...]) -> None:
        """Make the state, unless it is there."""
        if self.state == before:
            return
        self.state = None
        if self.session.is_lost:
            self.session = self.tracer.session()
        elif self.session.state != IDLE:
            self.session.run("rollback")
        failure = self.session.run(_RESET)
        assert failure is None, failure
        failure = self.session.run(";\n".join(before))
        assert failure is None, (failure, before)
        self.state = before

    def observe(self, case: Case) -> Observed:
        """What the last statement of the case does; raises AssertionError if one before it fails."""
        self.arrange(case.before)
        *earlier, last = case.statements
        blank = Observed(1, len(earlier), 0, 0, 0, last)
        words = [statement.split()[0].lower() for statement in case.statements]
        settings = [s for s in earlier if s.startswith(("set time zone", "set session time zone"))]
        is_own_block = words[0] == "begin" and not any(word in _STEERING for word in words[1:])
        if case.transactions == "file" or is_own_block:
            self.session.run("begin")
            self._all(earlier[is_own_block:])
            seen = self._last(replace(blank, is_in_block=True))
            self.session.run("rollback")
        elif len(settings) == len(earlier) and words[-1] not in _STEERING:
            self._all(settings)
            self.session.run("begin")
            seen = self._last(blank)
            if seen.error is not None and seen.error.sqlstate == "25001":
                self.session.run("rollback")
                self.state = None
                seen = self.tracer._alone(self.session, blank)
            elif self.session.is_lost:
                self.state = None
            else:
                if words[-1] in {"alter", "create", "set"} and seen.error is None:
                    # what is deferred to the end of the transaction speaks now
                    failure = self.session.run("set constraints all immediate")
                    seen = seen if failure is None else replace(seen, error=failure)
                self.session.run("rollback")
            if settings:
                self.session.run("reset all")
        else:
            self.state = None
            self._all(earlier)
            seen = self.tracer._one(self.session, blank)
        if words[-1] in {"discard", "reset", "listen", "set", "prepare"} or "pg_advisory" in last:
            self.state = None
        return seen

    def observe_all(self, statements: Sequence[str]) -> list[Observed]:
        """What statements do in one transaction, up to the first that fails; it is rolled back."""
        seen: list[Observed] = []
        self.session.run("begin")
        for place, statement in enumerate(statements):
            seen.append(self._last(Observed(1, place, 0, 0, 0, statement, is_in_block=True)))
            if seen[-1].error is not None:
                break
        self.session.run("rollback")
        return seen

    def _last(self, blank: Observed) -> Observed:
        if self.session.state == IDLE:  # the block was ended by a statement before
            return self.tracer._one(self.session, blank)
        return self.tracer._in_block(self.session, blank)

    def _all(self, statements: Sequence[str]) -> None:
        for statement in statements:
            failure = self.session.run(statement)
            assert failure is None, (failure, statement)


def observe(rig: Rig, cases: Sequence[Case]) -> Iterator[tuple[Case, Observed]]:
    """Run cases, those of the same state together."""
    for _, group in groupby(sorted(cases, key=lambda case: case.before), key=lambda case: case.before):
        for case in group:
            try:
                yield case, rig.observe(case)
            except AssertionError as error:
                rig.state = None
                raise AssertionError(f"{case.name}: {error}") from error
