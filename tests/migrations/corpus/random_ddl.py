# ruff: noqa: E501 - templates of statements, one a cell
"""Random schemas and random statements on them, always the same for a seed: combinations nobody thought of."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.migrations.corpus.type_changes import PAIRS, TYPES, VALUES

ROWS = 120
_TYPES = tuple(name for name in VALUES if name not in {"citext", "regclass", "pair", "money"})
_SORTED = frozenset(name for name in _TYPES if VALUES[name][1])
_HASHED = frozenset(_TYPES) - {"varbit", "varbit(8)", "varbit(16)", "bit(8)", "tsvector"}

Columns = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class State:
    """What makes the schema, and its tables with the names and types of their columns."""

    statements: tuple[str, ...]
    tables: dict[str, Columns]


class Maker:
    """Makes schemas and statements from one stream of chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.count = 0

    def state(self) -> State:
        """Two tables with keys, a partitioned one and one with a child; indexes, checks, views and more on them."""
        chance = self.chance
        columns = {
            name: [(f"c{i}", chance.choice(_TYPES)) for i in range(many)]
            for name, many in (("a", 5), ("b", 4), ("p", 3), ("i", 2))
        }
        rest = {name: ", ".join(self._column(*column) for column in own) for name, own in columns.items()}
        key = chance.choice(("", " primary key", " unique"))
        to_a = chance.choice(("", " references a", " not null"))
        statements = [
            *TYPES,
            f"create table a (id int primary key, {rest['a']})",
            self._rows("a", "id", columns["a"]),
            f"create table b (id bigint{key}, a_id int{to_a}, {rest['b']})",
            self._rows("b", "id, a_id", columns["b"]),
            f"create table p (id int not null, k int not null, {rest['p']}) partition by range (k)",
            "create table p1 partition of p for values from (0) to (60)",
            f"create table p2 partition of p {chance.choice(('default', 'for values from (60) to (1000)'))}",
            self._rows("p", "id, k", columns["p"]),
            f"create table i (id int not null, {rest['i']})",
            self._rows("i", "id", columns["i"]),
            "create table j (z int) inherits (i)",
            self._rows("j", "id", columns["i"]),
        ]
        tables: dict[str, Columns] = {**columns, "p1": columns["p"], "j": columns["i"]}
        for table, own in tables.items():
            statements += [text for number in range(chance.randint(0, 3)) if (text := self._index(table, own, number))]
            statements += [self._check(table, own, number) for number in range(chance.randint(0, 2))]
        more = (
            "create view w as select id from a",
            f"create view w2 as select id, {columns['a'][0][0]} from a",
            "create trigger tr before insert on b for each row execute function suppress_redundant_updates_trigger()",
            "alter table b add constraint b_fk foreign key (a_id) references a not valid",
            "alter table p add constraint p_fk foreign key (id) references a",
            "alter table b add column g int generated always as (a_id + 1) stored",
        )
        return State((*statements, *(text for text in more if chance.random() < 0.3)), tables)

    def sequence(self, state: State) -> list[str]:
        """Some statements in a row."""
        return [self.statement(state) for _ in range(self.chance.randint(1, 5))]

    def statement(self, state: State) -> str:
        table = self.chance.choice(list(state.tables))
        columns = state.tables[table]
        if self.chance.random() < 0.6:
            only = self.chance.choice(("", "", "", "", "", "", "only "))
            actions = [self._action(table, columns) for _ in range(self.chance.choice((1, 1, 1, 2, 3)))]
            return f"alter table {only}{table} {', '.join(actions)}"
        return self._other(table, self.chance.choice(columns)[0], state.tables["p"][0][0])

    def _column(self, name: str, type_name: str) -> str:
        return f"{name} {type_name}{self.chance.choice(('', '', '', '', ' not null', ' default null'))}"

    @staticmethod
    def _rows(table: str, keys: str, columns: Columns) -> str:
        names = ", ".join(name for name, _ in columns)
        values = ", ".join(VALUES[type_name][0] for _, type_name in columns)
        numbers = ", ".join("g" for _ in keys.split(","))
        return f"insert into {table} ({keys}, {names}) select {numbers}, {values} from generate_series(1, {ROWS}) as g"

    def _index(self, table: str, columns: Columns, number: int) -> str | None:
        sorted_ones = [column for column in columns if column[1] in _SORTED]
        if not sorted_ones:
            return None
        (one, one_type), (two, _) = self.chance.choice(sorted_ones), self.chance.choice(sorted_ones)
        name = f"{table}_x{number}"
        forms = [
            f"index {name} on {table} ({one})", f"index {name} on {table} ({one} desc, id)", f"index {name} on {table} ({one}) where id > 3",
            f"index {name} on {table} (id) where {two} is not null", f"index {name} on {table} (coalesce({one}, {one}))", f"index {name} on {table} (id) include ({two})",
        ]  # fmt: skip
        forms.append(
            f"index {name} on only p ({one})" if table == "p" else f"unique index {name} on {table} (id, {one})"
        )
        if one_type in _HASHED:
            forms.append(f"index {name} on {table} using hash ({one})")
        return "create " + self.chance.choice(forms)

    def _check(self, table: str, columns: Columns, number: int) -> str:
        name = self.chance.choice(columns)[0]
        condition = self.chance.choice(
            (
                f"{name} is not null",
                "id > 0",
                "id is not null",
                f"{name} is not null and id > 0",
                f"{name} is not null or id > 0",
                f"not ({name} is null)",
            )
        )
        return f"alter table {table} add constraint {table}_k{number} check ({condition}){self.chance.choice(('', ' not valid'))}"

    def _new_type(self, column: str, type_name: str) -> str:
        if type_name not in PAIRS or self.chance.random() < 0.25:
            return self.chance.choice(_TYPES)
        type_after, word, expression = self.chance.choice(PAIRS[type_name]).partition(" using ")
        # the corpus calls its column c
        words = (("(c)", f"({column})"), ("(c,", f"({column},"), ("c::", f"{column}::"))
        for old, new in words:
            expression = expression.replace(old, new)
        return type_after + word + (column if expression == "c" else expression)

    def _action(self, table: str, columns: Columns) -> str:
        """One action of ALTER TABLE."""
        self.count += 1
        number = self.count
        name, type_name = self.chance.choice(columns)
        added = self.chance.choice((
            "serial", "bigserial", "int generated always as identity", "checked_int", "checked_int default 1", "required_int default 1", "int default 7 references a", "int default random() * 10",
            "text not null default clock_timestamp()::text", "timestamptz default now()", "uuid default gen_random_uuid()", "int generated always as (id + 1) stored", "int unique", "int default 1 not null",
            f"int check (n{number} > 0)", "int references a", self.chance.choice(_TYPES),
        ))  # fmt: skip
        type_after = self._new_type(name, type_name)
        return self.chance.choice((
            f"alter column {name} type {type_after}", f"alter column {name} type {type_after}", f"alter column {name} type {type_after.partition(' using')[0]}", f"alter {name} set not null", f"alter {name} drop not null", "alter id set not null",
            f"alter {name} set default null", f"alter {name} drop default", f"drop column {name}", f"drop column {name} cascade", f"drop column if exists {name}", f"add column n{number} {added}", f"add column n{number} {added}",
            f"add constraint k{number} check ({name} is not null)", f"add constraint k{number} check ({name} is not null) not valid", f"add constraint k{number} check (id > 0)", f"add constraint k{number} check (id > 0) not valid",
            f"validate constraint {table}_k0", f"drop constraint {table}_k0", f"drop constraint if exists {table}_k1", f"add constraint u{number} unique (id)", f"add constraint u{number} unique (id, {name})", f"add constraint q{number} primary key (id)",
            f"add primary key (id, {name})", f"add constraint f{number} foreign key (id) references a", f"add constraint f{number} foreign key (id) references a not valid", f"drop constraint if exists {table}_pkey", f"drop constraint if exists {table}_pkey cascade",
            f"add constraint z{number} unique using index {table}_x0", f"alter {name} set statistics 100", f"alter {name} set storage plain", "set (fillfactor = 80)", "set unlogged", "set logged", "replica identity full", "enable row level security",
            "disable trigger user", f"cluster on {table}_x0", "owner to current_user", "set without cluster", "inherit i", "no inherit i", f"alter {name} drop expression if exists", "alter id add generated always as identity", f"add constraint e{number} exclude (id with =)",
        ))  # fmt: skip

    def _other(self, table: str, name: str, of_parted: str) -> str:
        """Any other statement."""
        self.count += 1
        number = self.count
        return self.chance.choice((
            f"create index y{number} on {table} ({name})", f"create index y{number} on only {table} ({name})", f"create index y{number} on {table} (id, {name}) where id > 5", f"create unique index y{number} on {table} (id)", f"drop index if exists {table}_x0", f"drop index if exists {table}_x1 cascade",
            f"reindex table {table}", f"alter table {table} rename column {name} to {name}x", f"alter table {table} rename to {table}x", f"truncate {table}", f"truncate {table} cascade", f"drop table {table}", f"drop table {table} cascade", "drop view if exists w, w2",
            f"create view v{number} as select {name} from {table}", f"create materialized view m{number} as select {name} from {table}", f"create table s{number} (like {table} including all)", f"create table s{number} as select * from {table}", f"create table s{number} (id int primary key, r int references a)",
            f"create table s{number} partition of p for values from (5000) to (6000)", "alter table p detach partition p1", "alter table p attach partition p1 for values from (0) to (60)", "drop table p1", f"create trigger t{number} after insert on {table} for each row execute function suppress_redundant_updates_trigger()",
            f"comment on column {table}.{name} is 'x'", f"cluster {table} using {table}_x0", f"analyze {table}", f"create policy p{number} on {table} using (id > 0)", "alter domain free_int add check (value > 0)", "alter domain free_text set not null", "alter domain checked_int drop constraint checked_int_check",
            f"alter domain free_text add constraint d{number} check (value <> '') not valid", f"alter type mood add value 'z{number}'", f"alter index if exists {table}_x0 rename to {table}_y{number}", f"create statistics s{number} on id, {name} from {table}", f"create index on only p ({of_parted})",
            f"alter table {table} rename constraint {table}_k0 to {table}_kk", "drop domain free_text cascade", "drop type mood cascade", f"update {table} set id = id", f"select * from {table}", f"lock table {table} in share mode", f"create rule r{number} as on insert to {table} do also select 1",
            "create or replace view w as select id from b", f"alter table {table} alter column {name} set (n_distinct = 5)", "drop index if exists b_x0, a_x0", f"create index concurrently y{number} on {table} (id)", f"alter table p1 add constraint pp{number} check (k >= 0 and k < 60)",
        ))  # fmt: skip
