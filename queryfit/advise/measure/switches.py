"""Making a set of indexes, hiding and showing it from one run to the next, and leaving nothing of it.

Alone on a server everything happens in **one transaction that is rolled back**: the indexes are created in it, a set
is hidden by dropping it behind a savepoint, and comes back, files and all, by rolling back to that savepoint. It costs
under a millisecond, any owner of the tables may do it, it hides existing indexes as well, and whatever becomes of this
process, the server undoes it. The price: others cannot use the tables meanwhile, so the measurement ends when one of
them waits (`Runner.check`).

Beside other sessions the indexes are built CONCURRENTLY, hence committed, under a guardian (`left_overs`); hiding is
`indisvalid = false` in a transaction that is rolled back, which only this session sees and only a superuser may.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from queryfit.advise.measure.left_overs import Guardian, comment, drop_left_overs, guarded, index_name
from queryfit.advise.measure.measured import Built, Manner
from queryfit.advise.measure.server import OWN_PATH, OWN_TIMEOUT, Session
from queryfit.capture.connect_errors import QueryError
from queryfit.lab.planner import Index
from queryfit.words import duration, size

_TREE = """
with tree as (
    select $1::regclass::oid as oid union select relid::oid from pg_partition_tree($1::regclass)
)
select c.oid::int8 as oid, c.relname, pg_relation_size(c.oid)::int8 as size_bytes, i.indcheckxmin
from tree join pg_class as c using (oid) join pg_index as i on i.indexrelid = c.oid
"""
_NAMED = """
select format('%I.%I', n.nspname, c.relname) as name, c.relkind = 'I' as is_partitioned
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relname = $1 and c.relkind in ('i', 'I')
"""
_TWIN = """
select format('%I.%I', n.nspname, c.relname) as name
from pg_index as ours
join pg_index as i on i.indrelid = ours.indrelid and i.indexrelid <> ours.indexrelid and i.indkey = ours.indkey
    and i.indclass = ours.indclass and i.indcollation = ours.indcollation and i.indoption = ours.indoption
    and i.indisvalid and i.indnkeyatts = ours.indnkeyatts
    and i.indexprs::text is not distinct from ours.indexprs::text
    and i.indpred::text is not distinct from ours.indpred::text
join pg_class as c on c.oid = i.indexrelid
join pg_namespace as n on n.oid = c.relnamespace
where ours.indexrelid = $1::regclass
"""
_REMOVABLE = """
select format('%I.%I', n.nspname, c.relname) as name, c.oid::int8 as oid
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.oid = to_regclass($1) and c.relkind in ('i', 'I')
    and not exists (select from pg_constraint as k where k.conindid = c.oid)
"""
_BROKEN = "rows of its table changed while old transactions were open, so no plan of this transaction may use it"


@dataclass(frozen=True, slots=True)
class _There:
    """An index that can be hidden: its SQL name, and its oids and bare names with those of its partitions."""

    sql: str
    oids: tuple[int, ...]
    relnames: tuple[str, ...]


@dataclass(slots=True)
class Switch:
    """Indexes that can be hidden and shown. A context manager, at whose end those that it made are gone.

    `names` maps what a plan calls an index to the name that it has in the set.
    """

    session: Session
    manner: Manner
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    built: list[Built] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    _there: dict[str, _There] = field(default_factory=dict)

    @contextlib.contextmanager
    def hiding(self, names: Collection[str]) -> Iterator[None]:
        """A transaction, or a part of one, in which these indexes are not there; rolled back at its end."""
        hidden = [self._there[name] for name in sorted(names)]
        if self.manner == "transaction":
            with self.session.savepoint("queryfit_hidden"):
                for index in hidden:
                    self.session.run(f"drop index {index.sql}")
                yield
            return
        self.session.run("begin")
        try:
            oids = [oid for index in hidden for oid in index.oids]
            self.session.run("update pg_index set indisvalid = false where indexrelid = any($1::oid[])", (oids,))
            yield
        finally:
            _roll_back(self.session)

    def build(
        self, indexes: Sequence[tuple[str, Index]], *, deadline: float, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        """Create indexes one at a time; what the server refuses goes to `refused` with its reason.

        `deadline` is by time.monotonic(): a build that reaches it ends, and counts as refused.
        """
        for number, (name, index) in enumerate(indexes, 1):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                self.refused.append((name, "the time limit was reached before it was built"))
                continue
            made = index_name(self.run, number)
            start = time.perf_counter()
            try:
                self._create(made, index, left_s)
            except QueryError as error:
                self.refused.append((name, error.message))
                tell(f"Not built: {name}: {error.message}.")
                continue
            self._add(name, made, index, time.perf_counter() - start)
            if name in self._there:
                tell(f"Built {name}: {size(self.built[-1].size_bytes)} in {duration(self.built[-1].build_s * 1000)}.")
        self._analyze({index for name, index in indexes if name in self._there})

    def _create(self, made: str, index: Index, limit_s: float) -> None:
        if self.manner == "transaction":
            with self.session.savepoint("queryfit_build", keep=True):
                self.session.set("statement_timeout", f"{max(1, int(limit_s * 1000))}ms", is_local=True)
                self.session.set("search_path", self.session.search_path, is_local=True)
                self.session.run(index.create(made))
                self.session.set("search_path", OWN_PATH, is_local=True)
                self.session.set("statement_timeout", OWN_TIMEOUT, is_local=True)
            return
        self.session.set("search_path", self.session.search_path)
        try:
            with self.session.patient(limit_s):
                self.session.run(index.create(made, is_concurrent=True))
        finally:
            self.session.set("search_path", OWN_PATH)
        sql = self.session.run(_NAMED, (made,))[0]["name"]
        words = comment(self.run)
        self.session.run(f"comment on index {sql} is '{words}'")

    def _add(self, name: str, made: str, index: Index, build_s: float) -> None:
        sql = self.session.run(_NAMED, (made,))[0]["name"]
        tree = self.session.run(_TREE, (sql,))
        if any(row["indcheckxmin"] for row in tree) and self.manner == "transaction":
            self.session.run(f"drop index {sql}")
            self.refused.append((name, _BROKEN))
            return
        for twin in self.session.run(_TWIN, (sql,)):
            self.notes.append(f"{index.subject} is there already as {twin['name']}: it is not seen to change anything.")
        self._there[name] = _There(sql, tuple(row["oid"] for row in tree), tuple(row["relname"] for row in tree))
        self.names |= {row["relname"]: name for row in tree}
        self.built.append(Built(name, sum(row["size_bytes"] for row in tree), build_s))

    def _analyze(self, indexes: Collection[Index]) -> None:
        """Statistics of expressions come with the first ANALYZE after the index; both sides then plan with them."""
        relations = {index.relation for index in indexes if not all(key.is_column for key in index.keys)}
        for relation in sorted(relations):
            try:
                if self.manner == "transaction":
                    with self.session.savepoint("queryfit_analyze", keep=True):
                        self.session.run(f"analyze {relation}")
                else:
                    self.session.run(f"analyze {relation}")
            except QueryError as error:
                self.notes.append(f"{relation} was not analyzed for its new expression index: {error.message}")

    def find(self, removals: Collection[str]) -> dict[str, str]:
        """Make existing indexes (schema.name as SQL writes it) known to `hiding`; answers with those that cannot be.

        Dropping behind a savepoint is tried once: what a constraint or a view rests on the server refuses.
        """
        reasons: dict[str, str] = {}
        for name in removals:
            try:
                rows = self.session.run(_REMOVABLE, (name,))
                if not rows:
                    reasons[name] = "it is not there, or a constraint rests on it"
                    continue
                self._there[name] = _There(rows[0]["name"], (rows[0]["oid"],), ())
                with self.hiding([name]):
                    pass
            except QueryError as error:
                self._there.pop(name, None)
                reasons[name] = error.message
        return reasons


def _roll_back(session: Session) -> None:
    if not session.connection.closed and session.is_in_transaction:
        session.run("rollback")


@contextlib.contextmanager
def switch(session: Session, manner: Manner, dsn: str | None) -> Iterator[Switch]:
    """A switch for one measurement; at the end of the block, however it ends, what it made is gone."""
    made = Switch(session, manner)
    if manner == "transaction":
        session.run("begin")
        try:
            yield made
        finally:
            _roll_back(session)
        return
    with guarded(dsn, made.run, session.pid) as guardian:
        try:
            yield made
        finally:
            _leave_nothing(session, made.run, guardian)


def _leave_nothing(session: Session, run: str, guardian: Guardian) -> None:
    # without the all-clear, as after an error here, the guardian does it
    with contextlib.suppress(QueryError):
        if session.connection.closed:
            return
        _roll_back(session)
        drop_left_overs(session, run=run)
        guardian.all_clear()
