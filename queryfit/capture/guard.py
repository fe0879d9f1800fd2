"""Which statements a live server may plan: those by which the planner can run no user's code.

EXPLAIN executes code even without ANALYZE. The planner folds calls of IMMUTABLE functions, estimates with STABLE ones,
and calls operators on statistics; READ ONLY does not stop them. So a text is planned only if it is one statement and
every name in it, and every relation behind these names, leads to predefined code or a superuser's.

Names are compared without regard to the schema they would be found in: an overload of `lower` or `=` that a user made
anywhere refuses every text that uses the name. What cannot be told is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queryfit.capture.guard_names import Mentions, Name, mentions
from queryfit.capture.guard_reach import CLASS, FIRST_NORMAL_OID, OPERATOR, PROC, TYPE, Key, Reach
from queryfit.sql.names import qualified
from queryfit.sql.safety import single_plannable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queryfit.capture.connect import Reader

MAX_NAME_BYTES = 62  # the server cuts longer names to 63 bytes, and might cut one to something else than it says
MAX_BODY_LENGTH = 200_000

ROLE = """
select rolsuper as is_superuser, rolsuper or rolbypassrls as bypasses_rls,
    current_setting('server_encoding') as encoding
from pg_roles where rolname = current_user
"""
# Predefined functions that run a text, a type's code by its oid, or that change something, and may run when planning.
EXECUTORS = f"""
select oid::int8 as oid, proname as name from pg_proc
where oid < {FIRST_NORMAL_OID} and pronamespace = 'pg_catalog'::regnamespace and (
    proname ~ '_to_xml' or proname ~ '^fmgr_.*_validator$' or proname in ('pg_input_is_valid', 'pg_input_error_info',
        'ts_rewrite', 'ts_stat', 'txid_current', 'pg_current_xact_id')
    or 'cstring'::regtype = any (proargtypes::oid[]) and 'oid'::regtype = any (proargtypes::oid[]))
"""
# Membership in an extension proves little: who owns a trusted extension can add functions to it. Code in C is a
# superuser's whoever owns it now, but its owner may declare it IMMUTABLE: too much for a superuser's session.
UNTRUSTED_FUNCTIONS = f"""
select p.oid::int8 as oid, n.nspname as schema, p.proname as name, r.rolname as owner,
    p.pronargs - p.pronargdefaults <= 1 and p.pronargs > 0 as takes_one
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
join pg_language as l on l.oid = p.prolang
left join pg_roles as r on r.oid = p.proowner
where p.oid >= {FIRST_NORMAL_OID} and not coalesce(r.rolsuper, false)
    and not (l.lanname = 'plpgsql' and p.prorettype in ('trigger'::regtype, 'event_trigger'::regtype))
    and not (l.lanname in ('c', 'internal') and not $1 and exists (
        select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'))
"""
# A trusted body that the planner may inline or run finds its unqualified names by the search path of the session.
TRUSTED_BODIES = f"""
select p.oid::int8 as oid, n.nspname as schema, p.proname as name,
    case when length(p.prosrc) <= {MAX_BODY_LENGTH} then p.prosrc end as body
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
join pg_language as l on l.oid = p.prolang
where l.lanname not in ('c', 'internal') and (l.lanname = 'sql' or p.provolatile <> 'v')
    and not (p.oid = any ($1::oid[]))
"""
RELATIONS = """
select c.oid::int8 as oid, n.nspname as schema, c.relname as name, c.relkind as kind
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_(toast|temp)'
"""
STORED_CALLS = f"""
select 2618::int8 as catalog, oid::int8 as oid from pg_rewrite
where oid >= {FIRST_NORMAL_OID} and (ev_action::text ~ $1 or ev_qual::text ~ $1)
union all
select 3256, oid from pg_policy where polqual::text ~ $1 or polwithcheck::text ~ $1
union all
select 2606, oid from pg_constraint where oid >= {FIRST_NORMAL_OID} and conbin::text ~ $1
union all
select 2604, oid from pg_attrdef where oid >= {FIRST_NORMAL_OID} and adbin::text ~ $1
union all
select 1247, oid from pg_type where oid >= {FIRST_NORMAL_OID} and typdefaultbin::text ~ $1
union all
select 2617, oid from pg_operator
where oid >= {FIRST_NORMAL_OID} and (oprcode::oid = any ($2::oid[]) or oprrest::oid = any ($2::oid[])
    or oprjoin::oid = any ($2::oid[]))
"""
NAMES: Mapping[int, str] = {
    PROC: """
        select p.oid::int8 as oid, n.nspname as schema, p.proname as name,
            p.pronargs - p.pronargdefaults <= 1 and p.pronargs > 0 as takes_one
        from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace where p.oid = any ($1::oid[])
        """,
    OPERATOR: """
        select o.oid::int8 as oid, n.nspname as schema, o.oprname as name, false as takes_one
        from pg_operator as o join pg_namespace as n on n.oid = o.oprnamespace
        where o.oid = any ($1::oid[]) or o.oprcom = any ($1::oid[]) or o.oprnegate = any ($1::oid[])
        """,
    TYPE: """
        select t.oid::int8 as oid, n.nspname as schema, t.typname as name, false as takes_one
        from pg_type as t join pg_namespace as n on n.oid = t.typnamespace where t.oid = any ($1::oid[])
        """,
}
_WORD = re.compile(r"[^\W\d][\w$]*")
_SIGN = re.compile(r"[-+*/<>=~!@#%^&|`?]+")


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of one kind that lead to a user's code, with the cause: by schema and name, and by name alone."""

    exact: Mapping[Name, str]
    bare: Mapping[str, str]

    def cause(self, names: Iterable[Name]) -> str | None:
        """Why one of these names must not be planned; None when all may be."""
        for schema, name in names:
            found = self.bare.get(name) if schema is None else self.exact.get((schema, name))
            if found is not None:
                return found
        return None


@dataclass(frozen=True, slots=True)
class _Relation:
    """A relation by what planning it reaches: a cause in words, or None."""

    always: str | None
    write: str | None


class Guard:
    """What may be planned in one database, by its catalog at one moment. Make it with `Guard.build`.

    The catalog can change between that moment and the planning: build it right before.
    """

    def __init__(
        self,
        *,
        blocked: str | None,
        encoding: str,
        functions: _Names,
        operators: _Names,
        types: _Names,
        attributes: Mapping[str, str],
        relations: Mapping[Name, _Relation],
    ) -> None:
        self._blocked = blocked
        self._is_utf8 = encoding == "UTF8"
        self._functions = functions
        self._operators = operators
        self._types = types
        self._attributes = attributes
        self._relations = relations

    @classmethod
    def build(cls, reader: Reader) -> Guard:
        """Read the catalog of the reader's database: about a dozen queries, whatever its size."""
        return _build(reader)

    def verdict(self, text: str, search_path: Sequence[str]) -> str | None:
        """Why `text` must not be planned under `search_path` (schemas in order), in words; None when it may be.

        The server must plan this very text, under this very path, with standard_conforming_strings on.
        """
        statement, reason = single_plannable(text)
        if statement is None:
            return reason
        if self._blocked is not None:
            return f"planning anything here could run a user's code: {self._blocked}"
        found = mentions(statement)
        return self._unreadable(text, found) or self._called(found) or self._read(found, search_path)

    def _unreadable(self, text: str, found: Mentions) -> str | None:
        if found.unknown is not None:
            return f"it holds {found.unknown}, which is not known to be safe to plan"
        if not self._is_utf8 and not text.isascii():
            return "it has names or texts beyond ASCII, which a database that is not UTF8 may read otherwise"
        names = (*found.functions, *found.operators, *found.types, *found.relations)
        if any(len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES for _, name in names):
            return f"a name in it has more than {MAX_NAME_BYTES} bytes"
        if any((schema or "").startswith("pg_temp") for schema, _ in names):
            return "it names a temporary schema, whose contents depend on the session"
        return None

    def _called(self, found: Mentions) -> str | None:
        cause = (
            self._functions.cause(found.functions)
            or self._types.cause(found.functions)  # type(value) is a cast
            or self._operators.cause(found.operators)
            or self._types.cause(found.types)
            or next((self._attributes[name] for name in found.attributes if name in self._attributes), None)
        )
        return None if cause is None else f"planning it could run {cause}"

    def _read(self, found: Mentions, search_path: Sequence[str]) -> str | None:
        reasons = (
            self._judge(schema, name, search_path, may_be_cte=name in found.ctes, writes=found.writes_rows)
            for schema, name in found.relations
        )
        return next((reason for reason in reasons if reason is not None), None)

    def _judge(
        self, schema: str | None, name: str, search_path: Sequence[str], *, may_be_cte: bool, writes: bool
    ) -> str | None:
        places = ("pg_catalog", *search_path) if schema is None else (schema,)
        known = [(place, self._relations[place, name]) for place in places if (place, name) in self._relations]
        for place, relation in known:  # all, not the first: a schema without USAGE is passed over
            cause = relation.always or (relation.write if writes else None)
            if cause is not None:
                return f"planning it could run {cause}, through {qualified(place, name)}"
        if known or (may_be_cte and schema is None):
            return None
        where = "on its search path" if schema is None else f"in schema {schema}"
        return f"there is no relation {name} {where}"


def _build(reader: Reader) -> Guard:
    role = reader.query(ROLE)[0]
    executors = {row["oid"]: row["name"] for row in reader.query(EXECUTORS)}
    untrusted = reader.query(UNTRUSTED_FUNCTIONS, [role["is_superuser"]])
    relations = reader.query(RELATIONS)
    reach = Reach()
    seeds: dict[Key, str] = {(PROC, row["oid"]): _owned(row) for row in untrusted}
    seeds |= {
        (CLASS, row["oid"]): f"the foreign data wrapper of {qualified(row['schema'], row['name'])}"
        for row in relations
        if row["kind"] == "f"
    }
    calls = rf":(funcid|aggfnoid|winfnoid) ({'|'.join(map(str, executors))})\M"
    # without users' code there is nothing that these could run, and reading every stored expression takes its time
    for row in reader.query(STORED_CALLS, [calls, list(executors)]) if seeds else []:
        seeds[row["catalog"], row["oid"]] = "a predefined function that executes a text"
    reach.follow(reader, seeds)
    _follow_bodies(reader, reach, relations)
    reach.follow_writes(reader)
    kinds = {kind: _named(reader, reach, kind) for kind in NAMES}
    functions = _names(kinds[PROC])
    for name in executors.values():
        cause = f"pg_catalog.{name}(), which executes what it is given"
        functions.exact["pg_catalog", name] = functions.bare[name] = cause  # type: ignore[index]
    types = _names(kinds[TYPE])
    return Guard(
        blocked=reach.blocked,
        encoding=role["encoding"],
        functions=functions,
        operators=_names(kinds[OPERATOR]),
        types=types,
        attributes={**types.bare, **{row["name"].lower(): cause for row, cause in kinds[PROC] if row["takes_one"]}},
        relations={
            (row["schema"], row["name"]): _Relation(
                always=reach.always.get((CLASS, row["oid"]))
                or (None if role["bypasses_rls"] else reach.policy.get(row["oid"])),
                write=reach.write.get(row["oid"]),
            )
            for row in relations
        },
    )


def _owned(row: Mapping[str, Any]) -> str:
    return f"function {qualified(row['schema'], row['name'])}() of role {row['owner']}"


def _follow_bodies(reader: Reader, reach: Reach, relations: Sequence[Mapping[str, Any]]) -> None:
    """Distrust a superuser's function where its text uses a name that leads to a user's code, until none is left."""
    trusted: dict[int, tuple[Mapping[str, Any], set[str]]] | None = None
    while reach.always:
        rows = [pair for kind in NAMES for pair in _named(reader, reach, kind)]
        rows += [(row, reach.always[CLASS, row["oid"]]) for row in relations if (CLASS, row["oid"]) in reach.always]
        causes = {row["name"].lower(): cause for row, cause in rows}
        if trusted is None:
            known = [object_ for catalog, object_ in reach.always if catalog == PROC]
            bodies = reader.query(TRUSTED_BODIES, [known])
            trusted = {row["oid"]: (row, _words(row["body"] or "")) for row in bodies}
        odd = [name for name in causes if not _WORD.fullmatch(name) and not _SIGN.fullmatch(name)]
        found: dict[Key, str] = {}
        for oid, (row, words) in trusted.items():
            if (PROC, oid) in reach.always:
                continue
            used = words & causes.keys() or {name for name in odd if name in (row["body"] or "").lower()}
            if used or row["body"] is None or "execute" in words:
                what = causes[min(used)] if used else next(iter(causes.values()))
                found[PROC, oid] = f"function {qualified(row['schema'], row['name'])}(), whose body may use {what}"
        if not found:
            return
        reach.follow(reader, found)


def _words(body: str) -> set[str]:
    lower = body.lower()
    return {*_WORD.findall(lower), *_SIGN.findall(lower)}


def _named(reader: Reader, reach: Reach, kind: int) -> list[tuple[Mapping[str, Any], str]]:
    """Rows with schema and name of the objects of one catalog that are reached, each with its cause."""
    oids = [object_ for catalog, object_ in reach.always if catalog == kind]
    if not oids:
        return []
    # an operator's commutator and negator may be called in its place
    return [
        (row, reach.always.get((kind, row["oid"]), "an operator whose commutator or negator is a user's"))
        for row in reader.query(NAMES[kind], [oids])
    ]


def _names(rows: Sequence[tuple[Mapping[str, Any], str]]) -> _Names:
    exact = {(row["schema"].lower(), row["name"].lower()): cause for row, cause in rows}
    return _Names(exact, {name: cause for (_, name), cause in exact.items()})
