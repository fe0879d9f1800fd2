"""One connection's view of the lab: its candidates, which of them are shown, which existing indexes are hidden.

Candidates are committed, hidden: CREATE INDEX locks out the planning of INSERT, UPDATE and DELETE until its transaction
ends. They are shown inside the planning transaction, which is always rolled back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from queryfit.capture.connect_errors import QueryError
from queryfit.lab import files
from queryfit.lab.btree_page import PAGE_BYTES, height
from queryfit.lab.database import OWNER, READER
from queryfit.lab.document import Document
from queryfit.lab.explain import Explainer
from queryfit.lab.files import Extent
from queryfit.lab.planner import Index, NotPlannedError, Size
from queryfit.lab.session import Session, text_array
from queryfit.sql.names import qualified

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from queryfit.lab.build import Lab
    from queryfit.lab.jobs import Shown, Task
    from queryfit.lab.there import There

CHUNK = 64  # candidates made at a time: one that is refused costs the others of its chunk another attempt
SWITCHES = 400  # rows of pg_index changed before the old versions are thrown away
UNKNOWN_PIVOT_BYTES = 8.0
BASE = "queryfit_base"
SETTINGS = {"lock_timeout": "10s", "statement_timeout": "20s"}

# The role that makes candidates may become the one that plans, which is no owner, so that policies bind it.
MEMBERSHIP = f"grant {READER} to {OWNER}"
# No planner's choice: pg_index has no statistics in the lab, and a scan of all of it is slower than the plan wanted.
TOGGLE = """
create or replace function queryfit_lab.toggle(shown oid[], gone oid[]) returns void
language plpgsql security definer set search_path = pg_catalog set enable_seqscan = off as $$
begin
    update pg_index set indisvalid = true where indexrelid = any (shown);
    update pg_index set indisvalid = false where indexrelid = any (gone);
end
$$
"""
MADE = """
select t.number, c.oid, n.nspname, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(r.relname),
    greatest(r.reltuples, 0)
from pg_catalog.unnest($1::text[]) with ordinality as t(name, number)
join pg_catalog.pg_class as c on c.relname = t.name and c.oid > $2::oid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_index as i on i.indexrelid = c.oid
join pg_catalog.pg_class as r on r.oid = i.indrelid
order by t.number
"""
FORGET = "delete from queryfit_lab.extent where relation = any (%s)"
REMEMBER = """
select queryfit_lab.remember(relation, parent, file_pages, pages, tuples, visible, nullif(height, 'None')::int4)
from rows from (
    pg_catalog.unnest($1::text[]),
    pg_catalog.unnest($2::text[]),
    pg_catalog.unnest($3::int8[]),
    pg_catalog.unnest($4::int4[]),
    pg_catalog.unnest($5::float4[]),
    pg_catalog.unnest($6::int4[]),
    pg_catalog.unnest($7::text[])
) as t(relation, parent, file_pages, pages, tuples, visible, height)
"""


@dataclass(frozen=True, slots=True)
class _Part:
    """An index in the lab that a candidate consists of: one, or one of each partition (`share` of the rows)."""

    oid: int
    name: str  # schema.name
    relation: str  # table or partition
    share: float


class Stage:
    """A connection to the lab in a transaction of its own. Not thread-safe."""

    def __init__(self, lab: Lab, prefix: str, there: There, settings: Mapping[str, str]) -> None:
        self._lab = lab
        self._prefix = prefix
        self._there = there
        self._numbers = count(1)
        self._made: list[str] = []
        self._connection = lab.connect()
        self.session = Session(self._connection)
        self.explainer = Explainer(self.session)
        self._parts: dict[Index, tuple[_Part, ...]] = {}
        self._owner: dict[tuple[str, str], Index] = {}
        self._shown: set[Index] = set()
        self._hidden: frozenset[str] = frozenset()
        self._switched = 0
        self._settings = {**SETTINGS, **settings}
        # else a commit would read the pages of new indexes into memory, past which what is written to files is not seen
        self.session.run("set wal_skip_threshold = 0")
        self.begin()

    def begin(self) -> None:
        """Open the transaction in which statements are planned, as the role that policies bind."""
        self.session.run("begin")
        self.session.set_local(self._settings)
        self.session.run(f"set local role {READER}")
        self.session.run(f"savepoint {BASE}")
        self._none_switched()

    def leave(self) -> None:
        """End that transaction: locks are given back, and pg_index is as it was."""
        if self.session.is_in_transaction:
            self.session.run("rollback")

    def reset(self) -> None:
        """Hide all candidates and show what was hidden, at once."""
        self.session.run(f"rollback to savepoint {BASE}")
        self._none_switched()

    def _none_switched(self) -> None:
        self._shown = set()
        self._hidden = frozenset()
        self._switched = 0
        self.explainer.begin()

    def close(self) -> list[str]:
        """Drop the candidates and end the connection; the names (schema.name) of what was dropped."""
        try:
            self.leave()
            for start in range(0, len(self._made), CHUNK):
                self.session.run(f"drop index if exists {', '.join(self._made[start : start + CHUNK])}")
        finally:
            self.session.close()
        return self._made

    def named(self, used: Iterable[tuple[str, str]]) -> tuple[frozenset[Index], frozenset[str]]:
        """Candidates and existing indexes (of partitions: the partitioned table's) among those that a plan uses."""
        candidates = frozenset(self._owner[index] for index in used if index in self._owner)
        return candidates, frozenset(self._there.name(index) for index in used if index not in self._owner)

    # -- candidates

    def make(self, targets: Mapping[Index, Sequence[str]], *, keeps_unique: bool) -> dict[Index, NotPlannedError]:
        """Create candidates, all hidden, on the tables named for each, outside of the planning transaction.

        Answers with the reasons of those that PostgreSQL refuses.
        """
        refusals: dict[Index, NotPlannedError] = {}
        indexes = list(targets)
        waiting = [indexes[start : start + CHUNK] for start in range(0, len(indexes), CHUNK)]
        while waiting:
            chunk = waiting.pop()
            self.session.run("begin")
            try:
                self._create({index: targets[index] for index in chunk}, keeps_unique=keeps_unique)
            except QueryError as error:
                self.session.run("rollback")
                if len(chunk) == 1:
                    words = f"PostgreSQL does not take the index: {error.message}"
                    refusals[chunk[0]] = NotPlannedError(words, hint=error.hint)
                else:
                    middle = len(chunk) // 2
                    waiting += [chunk[:middle], chunk[middle:]]
        return refusals

    def _create(self, targets: Mapping[Index, Sequence[str]], *, keeps_unique: bool) -> None:
        last = self.session.run("select coalesce(max(oid), 0) from pg_catalog.pg_class")[0][0]
        made: list[tuple[Index, str]] = []
        for index, tables in targets.items():
            for table in tables:
                name = f"{self._prefix}_{next(self._numbers)}"
                is_unique = index.is_unique and keeps_unique
                self.session.run(replace(index, relation=table, is_unique=is_unique).create(name))
                made.append((index, name))
        rows = self.session.run(MADE, [text_array([name for _, name in made]), _text(last)])
        self._toggle((), [int(row[1] or 0) for row in rows])
        self.session.run("commit")
        total: dict[Index, float] = {}
        for (index, _), row in zip(made, rows, strict=True):
            total[index] = total.get(index, 0.0) + float(row[4] or 0)
        parts: dict[Index, list[_Part]] = {index: [] for index in targets}
        for (index, name), (_, oid, schema, relation, tuples) in zip(made, rows, strict=True):
            share = float(tuples or 0) / total[index] if total[index] else 1 / len(targets[index])
            part = _Part(int(oid or 0), qualified(_text(schema), name), _text(relation), share)
            parts[index].append(part)
            self._made.append(part.name)
            self._owner[_text(schema), name] = index
        self._parts.update({index: tuple(group) for index, group in parts.items()})

    def forget(self, indexes: Collection[Index]) -> None:
        """Let candidates be unknown again that another connection could not make."""
        for index in indexes:
            self._parts.pop(index, None)

    def size(self, sizes: Mapping[Index, Size]) -> None:
        """Give candidates their pages, tuples and height."""
        extents: list[Extent] = []
        for index, size in sizes.items():
            extents += [_extent(part, index, size) for part in self._parts[index]]
        if not extents:
            return
        self.session.run("begin")
        # all at once: what Lab.set_index does for one index looks through the table of all of them
        columns = zip(*([str(value) for value in extent.values()] for extent in extents), strict=True)
        self.session.run(REMEMBER, [text_array(column) for column in columns])
        files.reapply(self._connection, self._lab.folder / "data", [extent.relation for extent in extents])
        self.session.run("commit")

    def rows(self, relation: str, predicate: str | None) -> float:
        """Rows that a condition leaves of a table, as the planner estimates them; 0 where it gives no plan."""
        where = f" where {predicate}" if predicate else ""
        try:
            plan = self.session.run(f"explain (format json) select from {relation}{where}")
        except QueryError:
            return 0.0
        return float(Document(plan[0][0] or b"")["Plan Rows"])

    # -- sets

    def set_up(self, task: Task, candidates: Shown) -> None:
        """Let exactly the wanted indexes appear on the tables that a task can reach. Raises NotPlannedError."""
        wanted = set(candidates.on(task.relations))
        unknown = next((index for index in wanted if index not in self._parts), None)
        if unknown is not None:
            raise NotPlannedError(f"the index {unknown.subject} is not known to the planner, or it was refused")
        shown = wanted - self._shown
        gone = {
            index
            for index in self._shown
            if (task.relations is None or index.relation in task.relations) and index not in wanted
        }
        back = self._there.hideable(self._hidden - task.job.hidden)
        away = self._there.hideable(task.job.hidden - self._hidden)
        if not (shown or gone or back or away):
            return
        if self._switched > SWITCHES:
            self.reset()
            self.set_up(task, candidates)
            return
        with self.explainer.before():
            self._toggle([*self._oids_of(shown), *back], [*self._oids_of(gone), *away])
        self._shown = (self._shown | shown) - gone
        self._hidden = task.job.hidden

    def _oids_of(self, indexes: Iterable[Index]) -> list[int]:
        return [part.oid for index in indexes for part in self._parts[index]]

    def _toggle(self, shown: Sequence[int], gone: Sequence[int]) -> None:
        if shown or gone:
            lists = ["{" + ",".join(map(str, sorted(oids))) + "}" for oids in (shown, gone)]
            self.session.run("select queryfit_lab.toggle($1::oid[], $2::oid[])", lists)
            self._switched += len(shown) + len(gone)


def _extent(part: _Part, index: Index, size: Size) -> Extent:
    pages = max(1, math.ceil(size.size_bytes * part.share / PAGE_BYTES))
    levels = None
    if index.access_method == "btree":
        levels = size.height if size.height and part.share == 1 else height(pages, UNKNOWN_PIVOT_BYTES)
    return Extent(part.name, part.relation, pages, pages, size.tuple_rows * part.share, 0, levels)


def _text(value: bytes | None) -> str:
    return str(value or b"", "utf-8")
