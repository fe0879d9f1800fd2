"""One migration from the chosen set: safe on a busy server, with the way back.

Each index is built concurrently and alone, without timeouts (one of those would leave an INVALID index), after a look
for what an earlier try left and for transactions that it would have to wait for. New ones come before what they
replace is dropped. Where CONCURRENTLY is refused (the parent of partitions), the statement takes a short lock only,
waits for it at most two seconds, and tries again.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from queryfit import __version__, words
from queryfit.advise.migration_facts import Standing, Table
from queryfit.advise.model import Advice, Chosen, Removal
from queryfit.advise.naming import bare, named, parts
from queryfit.advise.summary import amount
from queryfit.errors import QueryfitError
from queryfit.fixes import made_safe
from queryfit.lab.planner import Index
from queryfit.render.escape import line
from queryfit.sql.ddl_script import Unparsed, statements
from queryfit.sql.names import quote_literal

RUNNERS = ("psql", "sqitch", "goose", "sql-migrate", "tern", "atlas", "flyway", "supabase", "prisma")
"""Runners that send the statements of a file one by one, or can be told to (queryfit.migrations.runners)."""

_REFUSING = {
    "dbmate": "it sends a file as one batch, in which CONCURRENTLY is refused",
    "golang-migrate": "it sends a file as one batch, in which CONCURRENTLY is refused",
    "sqlx": "it sends a file as one batch, in which CONCURRENTLY is refused",
    "diesel": "it sends a file as one batch, in which CONCURRENTLY is refused",
    "drizzle": "it runs all files in one transaction, in which CONCURRENTLY is refused",
    "node-pg-migrate": "it runs a file of SQL in a transaction, in which CONCURRENTLY is refused",
    "rails": "its migrations are written in Ruby",
}
_FIRST_LINE = {"goose": "-- +goose NO TRANSACTION\n", "tern": "---- tern: disable-tx ----\n",
               "atlas": "-- atlas:txmode none\n\n"}  # fmt: skip
_SECTIONS = {
    "goose": ("-- +goose Up\n", "\n-- +goose Down\n"),
    "sql-migrate": ("-- +migrate Up notransaction\n", "\n-- +migrate Down notransaction\n"),
    "tern": ("", "\n---- create above / drop below ----\n\n"),
}
_BODIES = {
    "goose": ("-- +goose StatementBegin\n", "\n-- +goose StatementEnd"),
    "sql-migrate": ("-- +migrate StatementBegin\n", "\n-- +migrate StatementEnd"),
}
"""What stands around a statement that holds semicolons of its own."""

_HOW = {
    "psql": "Run it outside a transaction: psql -v ON_ERROR_STOP=1 -f this-file",
    "prisma": "Prisma runs it statement by statement from 7.4 on; before that CONCURRENTLY fails",
    "flyway": "Flyway: beside this file, `<its name>.conf` has to say executeInTransaction=false",
}
_OPERATOR_CLASSES = {
    "gin_trgm_ops": "pg_trgm", "gist_trgm_ops": "pg_trgm", "gin__int_ops": "intarray", "gist__int_ops": "intarray",
    "gist__intbig_ops": "intarray", "gist_ltree_ops": "ltree", "gist__ltree_ops": "ltree", "gin_hstore_ops": "hstore",
    "gist_hstore_ops": "hstore",
}  # fmt: skip
_METHODS = {"bloom": "bloom", "hnsw": "vector", "ivfflat": "vector", "rum": "rum"}
_SCALAR = re.compile(r"(?:int[248]|oid|float[48]|numeric|text|varchar|bpchar|char|date|time(?:stamp)?(?:tz)?|timetz"
                     r"|interval|uuid|bool|enum|bytea|inet|cidr|macaddr8?|cash|name)_ops")  # fmt: skip
_PLAIN_START = re.compile(r"\s*create\s+(unique\s+)?index\s+(?!concurrently\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration as a runner takes it."""

    text: str  # the file, with the way back: as its down section, or as comments where the runner has none
    undo: str  # the way back alone, ready to run; empty where it is a section of the file
    side_files: Mapping[str, str] = field(default_factory=dict)  # by what is added to the file's name: their text


@dataclass(frozen=True, slots=True)
class _Build:
    """An index to be built, with the names of its partitions' shares."""

    index: Index
    name: str  # schema.name
    notes: tuple[str, ...] = ()
    definition: str | None = None  # as the server wrote it, for one that was there before


def migration(advice: Advice, standing: Standing, *, runner: str = "psql", today: date | None = None) -> Migration:
    """The set as one file. Raises QueryfitError for a runner that cannot run it."""
    check_runner(runner, has_removals=bool(advice.removals))
    if not advice.chosen and not advice.removals:
        nothing = "-- Nothing to do: no index is worth what it costs.\n"
        return Migration(nothing, nothing)
    writer = _Writer(standing, runner)
    builds = [_Build(chosen.candidate.index, chosen.name, tuple(_notes(chosen, advice))) for chosen in advice.chosen]
    up = writer.script(builds, [_Drop(entry.existing.name, _removal_note(entry, advice)) for entry in advice.removals])
    lost = [
        _Build(entry.existing.index, entry.existing.name, definition=standing.definitions.get(entry.existing.name))
        for entry in advice.removals
    ]
    gained = [_Drop(chosen.name) for chosen in reversed(advice.chosen)]
    undone = copy.deepcopy(writer).script(lost, gained, is_brief=True)
    back = writer.script(lost, gained)
    head = "\n".join(f"-- {line(text)}".rstrip() for text in _head(advice, runner, today))
    first = _FIRST_LINE.get(runner, "")
    if runner in _SECTIONS:
        begin, end = _SECTIONS[runner]
        return Migration(f"{first}{begin}{head}\n\n{up}\n{end}{back}\n", "")
    # in essence: nobody should take a comment's checks and limits for granted
    undone = "\n".join(f"--   {text}" for text in undone.splitlines() if text)
    how = f"\n-- To undo it all (`queryfit advise --undo FILE` writes it with its checks):\n{undone}\n"
    return Migration(
        # prisma is not to find the words DROP INDEX CONCURRENTLY, not even in a comment
        f"{first}{head}\n\n{up}\n{'' if runner == 'prisma' else how}",
        f"{first}-- Undo of the indexes chosen by queryfit.\n\n{back}\n",
        {".conf": "executeInTransaction=false\n"} if runner == "flyway" else {},
    )


def statements_of(item: Chosen | Removal, standing: Standing) -> tuple[str, str]:
    """The statements that add or drop one index, and those that take it back, without what makes them safe to run."""
    if isinstance(item, Removal):
        name = item.existing.name
        build = _Build(item.existing.index, name, definition=standing.definitions.get(name))
    else:
        name = item.name
        build = _Build(item.candidate.index, name)
    writer = _Writer(standing, "psql")
    built = writer.script([build], [], is_brief=True)
    dropped = writer.script([], [_Drop(name)], is_brief=True)
    return (dropped, built) if isinstance(item, Removal) else (built, dropped)


def check_runner(runner: str, *, has_removals: bool) -> None:
    """Raises QueryfitError for a runner that cannot run such a migration."""
    if runner in _REFUSING:
        raise QueryfitError(
            f"no migration for {runner}: {_REFUSING[runner]}",
            hint="take --runner psql, and run the statements with psql, or put each of them into a file of its own",
        )
    if runner not in RUNNERS:
        raise QueryfitError(f"there is no runner {runner!r}", hint=f"one of {', '.join(RUNNERS)}")
    if runner == "prisma" and has_removals:
        raise QueryfitError(
            "no migration for prisma: it refuses a file with DROP INDEX CONCURRENTLY",
            hint="take --no-removals, or --runner psql",
        )


def _head(advice: Advice, runner: str, today: date | None) -> Iterator[str]:
    on = f" on {today.isoformat()}" if today else ""
    database = f" for the database {advice.workload.database}" if advice.workload.database else ""
    yield f"Indexes chosen by queryfit {__version__}{on}{database}."
    disk = max((chosen.disk_bytes or 0 for chosen in advice.chosen), default=0)
    time = sum(chosen.build_ms or 0 for chosen in advice.chosen)
    if advice.chosen:
        others = sum(chosen.candidate.size.size_bytes for chosen in advice.chosen if chosen.candidate.size)
        facts = [f"{len(advice.chosen)} to build, {words.size(others)} in all"]
        facts += [f"about {words.duration(time)}"] if time else []
        facts += [f"at most {words.size(disk)} of disk for one of them while it is built"] if disk else []
        yield f"{'; '.join(facts)}."
    if advice.removals:
        freed = sum(entry.existing.size_bytes for entry in advice.removals)
        yield f"{len(advice.removals)} to drop, which frees {words.size(freed)}."
    if runner in _HOW:
        yield _HOW[runner]


def _notes(chosen: Chosen, advice: Advice) -> Iterator[str]:
    """What an index is for, what it saves and what it costs."""
    candidate = chosen.candidate
    yield f"{candidate.index.subject}: {candidate.why}" if candidate.why else candidate.index.subject
    # what replaces an index may cost more than it saves by itself: what it replaces is saved as well
    is_saving = chosen.saving >= 0
    facts = [f"{'saves' if is_saving else 'by itself costs'} {amount(abs(chosen.saving), advice)}"]
    if candidate.upkeep:
        facts.append(f"upkeep {amount(candidate.upkeep, advice)}")
    if candidate.size is not None:
        facts.append(words.size(candidate.size.size_bytes))
    if chosen.build_ms:
        facts.append(f"built in about {words.duration(chosen.build_ms)}")
    if chosen.disk_bytes:
        facts.append(f"takes up to {words.size(chosen.disk_bytes)} of disk meanwhile")
    yield "; ".join(facts)


def _removal_note(entry: Removal, advice: Advice) -> tuple[str, ...]:
    frees = f"frees {words.size(entry.existing.size_bytes)}"
    saves = f", saves {amount(entry.saving, advice)}" if entry.saving > 0 else ""
    return (f"{entry.existing.index.subject}: {entry.reason}", frees + saves)


@dataclass(frozen=True, slots=True)
class _Drop:
    name: str  # schema.name
    notes: tuple[str, ...] = ()


class _Writer:
    """Statements in the form that a runner takes."""

    def __init__(self, standing: Standing, runner: str) -> None:
        self._standing = standing
        self._around = _BODIES.get(runner, ("", ""))
        self._partitioned = {name for name, table in standing.tables.items() if table.is_partitioned}
        self._of_partitioned: set[str] = set()  # names of parents' indexes that this migration makes
        self._taken = set(standing.taken)
        self._is_brief = False

    def script(self, builds: Sequence[_Build], drops: Sequence[_Drop], *, is_brief: bool = False) -> str:
        """Builds first, then drops: what replaces an index is there before it goes.

        In brief it is the statements alone, without what makes them safe to run.
        """
        self._is_brief = is_brief
        blocks: list[str] = []
        if builds and not is_brief:
            blocks += [f"create extension if not exists {name};" for name in self._extensions(builds)]
            blocks.append(self._check(builds))
        if not is_brief:
            blocks.append(
                "set lock_timeout = 0;  -- a timeout would leave an INVALID index behind\nset statement_timeout = 0;"
            )
        for number, build in enumerate(builds, 1):
            title = f"{number} of {len(builds)}: " if len(builds) > 1 else ""
            notes = [f"{title if place == 0 else ''}{note}" for place, note in enumerate(build.notes)]
            blocks.append("\n".join([*(f"-- {line(note)}" for note in notes), *self._built(build)]))
        if analyzed := sorted({build.index.relation for build in builds if _has_expressions(build.index)}):
            note = "-- The planner knows nothing of an expression's values until its table is analyzed.\n"
            blocks.append(note + "\n".join(f"analyze {relation};" for relation in analyzed))
        for drop in drops:
            blocks.append("\n".join([*(f"-- {line(note)}" for note in drop.notes), self._dropped(drop)]))
        if not is_brief:
            blocks.append("reset statement_timeout;\nreset lock_timeout;")
        return "\n\n".join(blocks)

    def _extensions(self, builds: Sequence[_Build]) -> list[str]:
        needed = {name for build in builds for name in extensions_of(build.index)}
        return sorted(needed - self._standing.extensions)

    def _check(self, builds: Sequence[_Build]) -> str:
        """Stop at what an earlier try left; name who would be waited for."""
        tables = sorted({name for build in builds for name in self._leaves(build.index.relation)})
        named_tables = ",\n".join(f"                {quote_literal(name)}" for name in tables)
        tag = _tag(named_tables)
        return self._body(f"""-- Nothing is built beside what an earlier try left INVALID; and who holds it up is named.
do {tag}
declare
    found record;
begin
    for found in
        select entry.indexrelid::regclass as index
        from pg_index as entry
        join pg_class as class on class.oid = entry.indexrelid
        where
            not entry.indisvalid and class.relkind = 'i'
            and entry.indrelid = any (array[
{named_tables}
            ]::regclass[])
    loop
        raise exception 'INVALID index %', found.index
            using hint = 'drop it concurrently, and run this again';
    end loop;
    for found in
        select pid, now() - xact_start as age
        from pg_stat_activity
        where
            datname = current_database() and pid <> pg_backend_pid() and xact_start < now() - interval '1 minute'
    loop
        raise warning 'the builds wait until the transaction of pid % ends, which is % old', found.pid, found.age;
    end loop;
    for found in select gid from pg_prepared_xacts where database = current_database() loop
        raise warning 'the builds wait until the prepared transaction % ends', found.gid;
    end loop;
end
{tag};""")

    def _leaves(self, relation: str) -> Iterator[str]:
        """The tables that hold the rows: the table itself, or its partitions, however deep."""
        table = self._standing.tables.get(relation, Table(relation))
        if not table.is_partitioned:
            yield relation
        for partition in table.partitions:
            if not self._is_foreign(partition):
                yield from self._leaves(partition)

    def _is_foreign(self, relation: str) -> bool:
        table = self._standing.tables.get(relation)
        return table is not None and table.is_foreign

    def _built(self, build: _Build) -> Iterator[str]:
        if build.index.relation not in self._partitioned:
            yield _concurrent(build)
            return
        yield from self._parent(build.index, build.name)

    def _parent(self, index: Index, name: str) -> Iterator[str]:
        """An index on a partitioned table: the parent's as a frame, one a partition, and each of them attached."""
        self._of_partitioned.add(name)
        self._taken.add(name)
        frame = _checked(replace(index, relation=f"only {index.relation}").create(bare(name)), index)
        yield self._retried(frame.replace("create index ", "create index if not exists ", 1)
                            .replace("create unique index ", "create unique index if not exists ", 1))  # fmt: skip
        for partition in self._standing.tables[index.relation].partitions:
            if self._is_foreign(partition):
                yield f"-- {line(partition)} is a foreign table: it takes no index, so {line(name)} stays a frame."
                continue
            share = replace(index, relation=partition)
            (share_name,) = named([share], self._taken).values()
            self._taken.add(share_name)
            if partition in self._partitioned:
                yield from self._parent(share, share_name)
            else:
                yield _concurrent(_Build(share, share_name))
            yield self._retried(f"alter index {name} attach partition {share_name};")

    def _dropped(self, drop: _Drop) -> str:
        definition = self._standing.definitions.get(drop.name, "")
        is_parents = drop.name in self._of_partitioned or " ON ONLY " in definition
        if is_parents:
            return self._retried(f"drop index if exists {drop.name};")
        return f"drop index concurrently if exists {drop.name};"

    def _retried(self, statement: str) -> str:
        return f"{statement.rstrip(';')};" if self._is_brief else self._body(made_safe(statement, {}))

    def _body(self, text: str) -> str:
        before, after = self._around
        return f"{before}{text}{after}"


def extensions_of(index: Index) -> set[str]:
    """The extensions that an index needs, by its access method and operator classes."""
    needed = {_METHODS[index.access_method]} if index.access_method in _METHODS else set()
    for key in index.keys:
        name = parts(key.operator_class)[-1] if key.operator_class else ""
        if name in _OPERATOR_CLASSES:
            needed.add(_OPERATOR_CLASSES[name])
        elif index.access_method == "gin" and _SCALAR.fullmatch(name):
            needed.add("btree_gin")
        elif index.access_method == "gist" and _SCALAR.fullmatch(name) and name not in {"inet_ops", "cidr_ops"}:
            needed.add("btree_gist")
    return needed


def _has_expressions(index: Index) -> bool:
    return any(not key.is_column for key in index.keys)


def _concurrent(build: _Build) -> str:
    """CREATE INDEX CONCURRENTLY: the server's own words for an index that was there before, else from its parts."""
    if build.definition and _is_one_index(build.definition):
        text = build.definition
    else:
        text = _checked(build.index.create(bare(build.name)), build.index)
    start = _PLAIN_START.match(text)
    assert start is not None
    unique = "unique " if start[1] else ""
    return f"create {unique}index concurrently if not exists {text[start.end() :].rstrip().removesuffix(';')};"


def _checked(text: str, index: Index) -> str:
    """The statement, if it is one: what a capture says of a table may be a stranger's words."""
    if not _is_one_index(text):
        raise QueryfitError(f"no SQL can be written for the index {index.subject}", hint="look at the capture it is of")
    return text


def _is_one_index(text: str) -> bool:
    try:
        found = statements(text)
    except Unparsed:
        return False
    return len(found) == 1 and found[0].kind == "IndexStmt" and _PLAIN_START.match(text) is not None


def _tag(text: str) -> str:
    tag = "$check$"
    while tag in text:
        tag = f"{tag[:-1]}_$"
    return tag
