"""Histories of migrations: the schema that the model has in the end, and the one that a server has after running them.

Both are said in the same words, so that they can be compared fact by fact.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from queryfit.migrations.files import MigrationFile
from queryfit.migrations.model import Database, Relation
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.steps import Effect, Step
from queryfit.migrations.trace.agree import Disagreement, agree
from queryfit.migrations.trace.filler import fill
from queryfit.migrations.trace.host import Host
from queryfit.migrations.trace.observed import Failure, Observed
from queryfit.migrations.trace.run import Tracer
from queryfit.migrations.type_names import type_text

Facts = dict[str, set[tuple[Any, ...]]]

_OURS = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%%'"
# what an extension brought is not the migrations' own
_OWN = (
    "not exists "
    "(select from pg_depend as e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')"
)
_QUERIES = {
    "tables": f"""
        select quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind::text
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm') and {_OURS} and {_OWN}
    """,
    "columns": f"""
        select quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname::text,
            format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text, a.attgenerated::text,
            a.atthasdef and a.attgenerated = ''
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace join pg_attribute as a on a.attrelid = c.oid
        where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped and {_OURS} and {_OWN}
    """,
    "constraints": f"""
        select quote_ident(n.nspname) || '.' || quote_ident(c.relname), k.conname::text, k.contype::text,
            case when k.contype = 'c' then null else (
                select string_agg(a.attname, ', ' order by u.position)
                from unnest(k.conkey) with ordinality as u (number, position)
                join pg_attribute as a on a.attrelid = c.oid and a.attnum = u.number
            ) end, k.convalidated
        from pg_constraint as k join pg_class as c on c.oid = k.conrelid
        join pg_namespace as n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and k.contype in ('p', 'u', 'f', 'c') and {_OURS} and {_OWN}
            -- a key to a partitioned table has one more for each partition, which is not its own
            and not exists (select from pg_constraint as u where u.oid = k.conparentid and u.conrelid = k.conrelid)
    """,
    "indexes": f"""
        select quote_ident(n.nspname) || '.' || quote_ident(c.relname), t.relname::text, i.indisunique, i.indisvalid,
            (select string_agg(coalesce(a.attname, '?'), ', ' order by u.position)
                from unnest(i.indkey::int2[]) with ordinality as u (number, position)
                left join pg_attribute as a on a.attrelid = t.oid and a.attnum = u.number and u.number > 0
                where u.position <= i.indnkeyatts),
            i.indpred is not null
        from pg_index as i join pg_class as c on c.oid = i.indexrelid join pg_class as t on t.oid = i.indrelid
        join pg_namespace as n on n.oid = c.relnamespace where {_OURS} and {_OWN.replace("c.oid", "t.oid")}
    """,
}
_QUERIES["parents"] = f"""
    select quote_ident(n.nspname) || '.' || quote_ident(c.relname),
        quote_ident(m.nspname) || '.' || quote_ident(p.relname)
    from pg_inherits as i join pg_class as c on c.oid = i.inhrelid join pg_namespace as n on n.oid = c.relnamespace
    join pg_class as p on p.oid = i.inhparent join pg_namespace as m on m.oid = p.relnamespace
    where c.relkind in ('r', 'p') and {_OURS} and {_OWN}
"""
_QUERIES["types"] = f"""
    select n.nspname::text, t.typname::text, t.typtype::text, case t.typtype
        when 'e' then (
            select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_enum as e where e.enumtypid = t.oid
        )
        else format_type(t.typbasetype, t.typtypmod) end
    from pg_type as t join pg_namespace as n on n.oid = t.typnamespace
    where t.typtype in ('e', 'd') and {_OURS} and {_OWN.replace("pg_class", "pg_type").replace("c.oid", "t.oid")}
"""
PARTS = tuple(_QUERIES)
_KINDS = {"table": "r", "partitioned table": "p", "view": "v", "materialized view": "m"}
_CONSTRAINTS = {"primary key": "p", "unique": "u", "foreign key": "f", "check": "c"}


def of_server(connection: psycopg.Connection[Any]) -> Facts:
    """What the server's catalog says."""
    connection.execute("set search_path = pg_catalog")
    return {
        name: {tuple(row) for row in connection.execute(query.replace("%%", "%").encode())}
        for name, query in _QUERIES.items()
    }


def of_model(database: Database) -> Facts:
    """What the model says of the relations that it knows."""
    facts: Facts = {name: set() for name in _QUERIES}
    relations = [one for one in database.relations.values() if one.is_known and one.name.schema != "pg_temp"]
    for relation in relations:
        if relation.kind in _KINDS:
            facts["tables"].add((relation.text, _KINDS[relation.kind]))
        if relation.kind in {"table", "partitioned table"}:
            _add(facts, relation)
    for index in database.indexes.values():
        table = database.relations.get(index.relation)
        if index.name.schema == "pg_temp" or table is None or not table.is_known:
            continue
        keys = ", ".join(column or "?" for column in index.columns)
        has_predicate = bytes(index.predicate) != b"null"
        facts["indexes"].add(
            (index.name.text, index.relation.name, index.is_unique, index.is_valid, keys, has_predicate)
        )
    for enum in database.enums.values():
        facts["types"].add((*enum.name, "e", ", ".join(enum.values) or None))
    for domain in database.domains.values():
        facts["types"].add((*domain.name, "d", type_text(domain.base)))
    return facts


def _add(facts: Facts, relation: Relation) -> None:
    facts["parents"] |= {(relation.text, parent.text) for parent in relation.parents}
    for column in relation.columns.values():
        has_default = column.default is not None and not column.identity and not column.generated
        facts["columns"].add((
            relation.text, column.name, type_text(column.type), column.is_not_null, column.identity, column.generated,
            has_default,
        ))  # fmt: skip
    for constraint in relation.constraints.values():
        kind = _CONSTRAINTS.get(constraint.kind)
        if kind is not None:
            columns = None if kind == "c" else ", ".join(constraint.columns)
            facts["constraints"].add((relation.text, constraint.name, kind, columns, constraint.is_validated))


@dataclass(frozen=True, slots=True)
class Agreement:
    """What came of a comparison. A difference is a line: what it is about, and which side has the fact."""

    compared: int  # facts that the server has
    differences: tuple[str, ...]
    refused: tuple[str, ...]  # differences about relations that statements name which the server refused
    unseen: tuple[str, ...]  # facts that statements made which the model says it did not see


def compare(model: Facts, real: Facts, *, failures: Sequence[Failure] = (), has_unseen: bool = False) -> Agreement:
    """Hold the two schemas against each other.

    `failures` are the statements that the server refused: what they name may differ. `has_unseen`: the model said of a
    statement that it does not see all of what it does, so that the server may have more.
    """
    words = {word for failure in failures for word in re.findall(r"\w+", failure.statement or failure.message)}
    made_unseen = {child for pair in real["parents"] - model["parents"] for child in pair} if has_unseen else set()
    sorted_out: dict[str, list[str]] = {"": [], "refused": [], "unseen": []}
    for part in PARTS:
        for side, facts in (
            ("only the model", model[part] - real[part]),
            ("only the server", real[part] - model[part]),
        ):
            for fact in sorted(facts, key=str):
                names = {str(name).rpartition(".")[2].strip('"') for name in fact[:2]}
                why = ""
                if has_unseen and (side == "only the server" or made_unseen & _tables(part, fact)):
                    why = "unseen"
                elif words & names:
                    why = "refused"
                sorted_out[why].append(f"{part}: {side} has {fact}")
    compared = sum(len(facts) for facts in real.values())
    return Agreement(compared, *(tuple(lines) for lines in sorted_out.values()))


def _tables(part: str, fact: tuple[Any, ...]) -> set[str]:
    """The tables that a fact is about."""
    if part == "indexes":
        return {f"{fact[0].rpartition('.')[0]}.{fact[1]}"}
    return {str(fact[0])}


def _tracer(place: Host, limit_s: float) -> Tracer:
    return Tracer(
        place.connect, watch=place.watch, deadline=time.monotonic() + limit_s, remedy=place.remedy,
        has_room=place.has_room,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """A history: the model's run, the server's, and how they agree."""

    run: Run
    failures: tuple[tuple[str, Failure], ...]  # by file
    agreement: Agreement

    @property
    def unfollowed(self) -> Counter[str]:
        """Why steps could not be followed or seen, with how many."""
        return Counter(why for step in self.run.steps if (why := step.unfollowed or step.unseen))


def tell(files: Sequence[MigrationFile], place: Host, *, limit_s: float = 600.0) -> Told:
    """Replay files of one group through the model, and for real on an empty database."""
    run = replay(files, version=place.version)
    failures: list[tuple[str, Failure]] = []
    with contextlib.closing(_tracer(place, limit_s)) as tracer:
        for file in files:
            failures += [(file.name, failure) for failure in tracer.replay(file)]
    with contextlib.closing(place.watch()) as connection:
        real = of_server(connection)
    (database,) = run.databases.values()
    has_unseen = any(step.unseen or step.unfollowed for step in run.steps)
    agreement = compare(of_model(database), real, failures=[failure for _, failure in failures], has_unseen=has_unseen)
    return Told(run, tuple(failures), agreement)


_EMPTY = """do $$ declare name text; begin
    for name in select format('%I.%I', schemaname, tablename) from pg_tables
        where schemaname not in ('pg_catalog', 'information_schema')
    loop execute 'truncate ' || name || ' cascade'; end loop;
end $$"""


@dataclass(frozen=True, slots=True)
class Compared:
    """A statement of a history as it ran on tables with rows, and on what the model differs."""

    file: str
    steps: Sequence[Step]  # of the model: the statement, and those nested in it
    observed: Observed
    disagreements: Sequence[Disagreement]


def observe(files: Sequence[MigrationFile], place: Host, *, limit_s: float = 900.0) -> Iterator[Compared]:
    """Run each file as its runner does, on tables with rows, and compare what each statement does with the model.

    A file that made-up rows stop runs once more on empty tables, and one that fails there too past its errors.
    """
    run = replay(files, version=place.version)
    steps: dict[int, list[Step]] = defaultdict(list)
    effects: dict[int, list[Effect]] = defaultdict(list)
    for step in run.steps:
        steps[step.file].append(step)
    for effect in run.effects:
        effects[effect.step].append(effect)
    # what statements made that the model says it did not see is not compared
    named: set[str | None] | None = None
    if any(step.unseen for step in run.steps):
        named = {effect.relation for effect in run.effects} - {one.relation for one in run.effects if not one.is_known}
    with contextlib.closing(_tracer(place, limit_s)) as tracer:
        for number, file in enumerate(files):
            if file.name == "prelude":
                tracer.replay(file)
                continue
            deleted: set[str | None] = set()
            for seen in _observed(tracer, number, file):
                own = [step for step in steps[number] if seen.start <= step.start < max(seen.end, seen.start + 1)]
                if seen.is_run and own:
                    points = agree(own, [effect for step in own for effect in effects[step.number]], seen)
                    if named is not None:
                        points = [point for point in points if point.relation is None or point.relation in named]
                    # rows that were all deleted in the file are no work
                    points = [point for point in points if point.observed != "no" or point.relation not in deleted]
                    deleted |= {
                        effect.relation
                        for step in own
                        for effect in effects[step.number]
                        if effect.action == "delete" and effect.has_where is False
                    }
                    yield Compared(file.name, own, seen, points)


def _observed(tracer: Tracer, number: int, file: MigrationFile) -> list[Observed]:
    with contextlib.closing(tracer.session()) as session:
        fill(session)
    first = list(tracer.observe(number, file))
    if not any(one.error for one in first):
        return first
    with contextlib.closing(tracer.session()) as session:
        session.run(_EMPTY)
    second = list(tracer.observe(number, file))
    if any(one.error for one in second):
        tracer.replay(file)
    return [one if one.is_run and not one.error else other for one, other in zip(first, second, strict=True)]
