# ruff: noqa: E501 - tables of statements, one a cell
"""Constraints: keys, checks, references, exclusion; added, validated, altered, dropped."""

from __future__ import annotations

from collections.abc import Iterator

from tests.migrations.corpus.case import SHOP, Case, each, rows

FAMILY = (
    "create table root (k int not null, a int, b int) partition by range (k)",
    "create table low partition of root for values from (0) to (100)",
    "create table high partition of root for values from (100) to (10000) partition by range (k)",
    "create table high_one partition of high for values from (100) to (10000)",
    rows("root", "k, a, b", "g", "g", "g"),
    "create table parent (k int not null, a int, b int)",
    rows("parent", "k, a, b", "g", "g", "g"),
    "create table kid () inherits (parent)",
    rows("kid", "k, a, b", "g", "g", "g"),
    "create table target (id int primary key, a int unique)",
    rows("target", "id, a", "g", "g"),
    "create table parted_target (id int primary key, a int) partition by range (id)",
    "create table parted_target_low partition of parted_target for values from (0) to (100)",
    "create table parted_target_high partition of parted_target default",
    rows("parted_target", "id, a", "g", "g"),
)


def cases() -> Iterator[Case]:
    yield from _checks()
    yield from _keys()
    yield from _references()
    yield from _merged()
    yield from _exclusions()


def _checks() -> Iterator[Case]:
    state = (
        *SHOP, "alter table orders add constraint valid_one check (n > 0)", "alter table orders add constraint open_one check (n > -1) not valid", "alter table orders add constraint own_one check (n > -2) no inherit",
        "alter table orders add constraint open_fk foreign key (customer_id) references customers not valid",
    )  # fmt: skip
    yield from each("check", state, (
        "alter table orders add check (total > 0)", "alter table orders add constraint c check (total > 0)", "alter table orders add constraint c check (total > 0) not valid", "alter table orders add constraint c check (total > 0) no inherit",
        "alter table orders add constraint c check (total > 0), add constraint d check (n > 0)", "alter table orders add constraint c check (n > 0) not valid, validate constraint c", "alter table orders validate constraint open_one", "alter table orders validate constraint valid_one",
        "alter table orders validate constraint absent", "alter table orders drop constraint valid_one", "alter table orders drop constraint if exists absent", "alter table orders drop constraint absent", "alter table orders drop constraint open_one, drop constraint valid_one",
        "alter table orders validate constraint open_one, validate constraint open_fk", "alter table orders add constraint c check (true)", "alter table orders add constraint c check (false) not valid", "alter table only orders add constraint c check (n > 0)",
        "alter table orders add constraint valid_one check (n > 5)", "alter table orders drop constraint valid_one, add constraint valid_one check (n >= 0)", "alter table orders drop constraint valid_one, add constraint valid_one check (n >= 0) not valid",
        "alter table orders rename constraint valid_one to other", "alter table orders add constraint c check (n > 0) not valid, validate constraint open_one", "alter table orders add constraint c check (length(note) < 100)", "alter table orders drop constraint valid_one cascade",
        "alter table orders alter constraint valid_one deferrable", "alter table if exists orders add constraint c check (n > 0)",
    ))  # fmt: skip
    yield from each("check, not enforced", state, (
        "alter table orders add constraint c check (n > 1000) not enforced", "alter table orders alter constraint valid_one not enforced", "alter table orders alter constraint open_fk not enforced", "alter table orders alter constraint open_fk enforced",
    ), since=18)  # fmt: skip
    family = (
        *FAMILY,
        "alter table root add constraint old check (a > 0)",
        "alter table parent add constraint old check (a > 0)",
        "alter table root add constraint open check (a > -1) not valid",
        "alter table parent add constraint open check (a > -1) not valid",
    )
    for table in ("root", "only root", "low", "high", "high_one", "parent", "only parent", "kid"):
        yield from each("check, families", family, (
            f"alter table {table} add constraint c check (b > 0)", f"alter table {table} add constraint c check (b > 0) not valid", f"alter table {table} validate constraint open", f"alter table {table} drop constraint old", f"alter table {table} rename constraint old to older",
        ))  # fmt: skip
    yield Case(
        "check, two statements",
        "not valid and validate apart",
        SHOP,
        ("alter table orders add constraint c check (n > 0) not valid", "alter table orders validate constraint c"),
    )
    yield Case(
        "check, two statements",
        "not valid and validate in one transaction",
        SHOP,
        ("alter table orders add constraint c check (n > 0) not valid", "alter table orders validate constraint c"),
        "file",
    )


def _keys() -> Iterator[Case]:
    state = (
        "create table t (id int not null, a int not null, b int, c text not null, d tstzrange, later int not null)", rows("t", "id, a, b, c, later", "g", "g", "g", "'x' || g", "g"),
        "create unique index t_id on t (id)", "create unique index t_b on t (b)", "create unique index t_ab on t (a, b)", "create unique index t_ac on t (a, c)", "create unique index t_part on t (a) where b > 0", "create unique index t_expr on t (lower(c))",
        "create index t_plain on t (a)", "create unique index t_desc on t (a desc)", "create unique index t_incl on t (later) include (b)", "create unique index t_nulls on t (a nulls first)", "create index t_hash on t using hash (a)",
    )  # fmt: skip
    yield from each("keys", state, (
        "alter table t add primary key (id)", "alter table t add constraint k primary key (id)", "alter table t add primary key (b)", "alter table t add primary key (id, a)", "alter table t add primary key (a, b)", "alter table t add primary key using index t_id", "alter table t add constraint k primary key using index t_id",
        "alter table t add primary key using index t_b", "alter table t add primary key using index t_ab", "alter table t add constraint t_ac primary key using index t_ac", "alter table t add unique using index t_b", "alter table t add constraint u unique using index t_b",
        "alter table t add unique (a)", "alter table t add constraint u unique (b)", "alter table t add constraint u unique (a, b)", "alter table t add unique (a) include (b)", "alter table t add unique (a) deferrable initially deferred", "alter table t add primary key (id) include (b)",
        "alter table t add constraint u unique using index t_id deferrable", "alter table t add unique (a) with (fillfactor = 70)", "alter table t add unique (a) using index tablespace pg_default", "alter table t add constraint u unique using index t_incl", "alter table t add primary key using index t_incl",
        "alter table t add unique (a), add unique (b)", "alter table t add primary key (id), add unique (a)", "alter table t add primary key (id), alter b set not null", "alter table t add primary key using index t_id, drop column d", "alter table t add primary key (b), alter b type bigint",
        "alter table only t add primary key (id)", "alter table only t add primary key (b)", "alter table t alter b set not null, add primary key using index t_b", "alter table t alter b set not null, add primary key (b)",
    ))  # fmt: skip
    yield from each("keys refused", state, (
        "alter table t add constraint u unique using index t_part", "alter table t add constraint u unique using index t_expr", "alter table t add constraint u unique using index t_plain", "alter table t add constraint u unique using index t_desc", "alter table t add constraint u unique using index t_nulls",
        "alter table t add constraint u unique using index absent", "alter table t add constraint u unique using index t_hash", "alter table t add primary key (absent)", "alter table t add primary key using index t_part",
    ), must_refuse=True)  # fmt: skip
    yield from each(
        "keys",
        state,
        (
            "alter table t add unique nulls not distinct (b)",
            "alter table t add constraint u unique nulls not distinct (a, b)",
        ),
        since=15,
    )
    proven = (*state, "alter table t add constraint p check (b is not null)")
    open_proof = (*state, "alter table t add constraint p check (b is not null) not valid")
    for name, before in (("proven", proven), ("proof not valid", open_proof), ("no proof", state)):
        for statement in (
            "alter table t add primary key using index t_b",
            "alter table t add primary key (b)",
            "alter table t add primary key using index t_ab",
            "alter table t add primary key (a, b)",
        ):
            yield Case(f"primary key, {name}", statement, before, (statement,))
    keyed = (
        *state,
        "alter table t add constraint t_key primary key (id)",
        "alter table t add constraint t_unique unique (a)",
        "create table r (id int references t, a int references t (a))",
        rows("r", "id, a", "g", "g"),
    )
    yield from each("keys there", keyed, (
        "alter table t drop constraint t_key", "alter table t drop constraint t_key cascade", "alter table t drop constraint t_unique", "alter table t drop constraint t_unique cascade", "alter table r drop constraint r_id_fkey", "alter table t rename constraint t_key to k", "alter index t_key rename to k",
        "alter table t add primary key (a)", "drop index t_key", "drop index t_b", "alter table t cluster on t_key", "alter table t set without cluster", "alter table t replica identity using index t_ac", "alter table t replica identity full", "alter table t replica identity default",
        "alter table t replica identity nothing", "alter table t drop constraint t_key cascade, add primary key (id)", "alter table t drop constraint t_unique cascade, add constraint t_unique unique (a, b)", "alter table t replica identity using index t_b", "alter table t drop constraint t_key cascade, add constraint t_key primary key using index t_id",
    ))  # fmt: skip
    for table in ("root", "only root", "low", "high", "parent", "kid"):
        yield from each(
            "keys, families",
            FAMILY,
            (
                f"alter table {table} add unique (k)",
                f"alter table {table} add primary key (k)",
                f"alter table {table} add unique (k, a)",
                f"alter table {table} add primary key (k, a)",
            ),
        )
    indexed = (
        *FAMILY,
        "create unique index root_k on only root (k)",
        "create unique index low_k on low (k)",
        "create unique index parent_k on parent (k)",
    )
    yield from each("keys, families, using index", indexed, ("alter table root add primary key using index root_k", "alter table low add primary key using index low_k", "alter table parent add primary key using index parent_k", "alter table parent add constraint u unique using index parent_k",
                                                              "alter index root_k attach partition low_k", "alter table root add unique (k)", "alter table only root add primary key (k)"))  # fmt: skip


def _references() -> Iterator[Case]:
    forms = (
        "foreign key (customer_id) references customers", "foreign key (customer_id) references customers (id)", "foreign key (customer_id) references customers not valid", "foreign key (customer_id) references customers on delete cascade",
        "foreign key (customer_id) references customers on delete set null on update cascade", "foreign key (customer_id) references customers deferrable initially deferred", "foreign key (customer_id) references customers match full",
        "foreign key (opt) references orders", "foreign key (opt) references orders not valid", "foreign key (opt) references orders (id)",
    )  # fmt: skip
    indexed = (*SHOP, "create index orders_customer on orders (customer_id)")
    for form in forms:
        yield Case("foreign key", form, SHOP, (f"alter table orders add {form}",))
        yield Case("foreign key, named", form, SHOP, (f"alter table orders add constraint fk {form}",))
        yield Case("foreign key, indexed", form, indexed, (f"alter table orders add {form}",))
        yield Case(
            "foreign key, in a transaction",
            form,
            SHOP,
            ("alter table customers alter n set default 1", f"alter table orders add {form}"),
            "file",
        )
        yield Case(
            "foreign key, both locked",
            form,
            SHOP,
            ("lock table orders, customers", f"alter table orders add {form}"),
            "file",
        )
    yield from each("foreign key, several", (*SHOP, "create table third (id int primary key)"), (
        "alter table orders add foreign key (customer_id) references customers, add foreign key (opt) references orders", "alter table orders add foreign key (customer_id) references customers, alter opt set not null", "alter table only orders add foreign key (customer_id) references customers",
        "alter table orders add foreign key (customer_id) references customers not valid, add check (n > 0)", "alter table orders add constraint f foreign key (customer_id) references customers not valid, validate constraint f", "alter table orders add foreign key (n) references third not valid",
        "alter table orders add foreign key (note) references customers", "alter table orders add foreign key (customer_id) references absent", "alter table orders add foreign key (customer_id) references customers (n)", "alter table orders add foreign key (customer_id) references customers (email)",
        "create table fresh (id int primary key, c int references customers)", "create table fresh (id int primary key, c int references customers, o bigint references orders)", "create table fresh (id int, c int, foreign key (c) references customers)", "create table fresh (id int primary key, p int references fresh)",
    ))  # fmt: skip
    open_one = (
        *SHOP,
        "alter table orders add constraint fk foreign key (customer_id) references customers not valid",
        "alter table orders add constraint self foreign key (opt) references orders not valid",
    )
    yield from each("foreign key there", open_one, (
        "alter table orders validate constraint fk", "alter table orders validate constraint self", "alter table orders drop constraint fk", "alter table orders drop constraint self", "alter table orders alter constraint fk deferrable", "alter table orders alter constraint fk deferrable initially deferred",
        "alter table orders alter constraint fk not deferrable", "alter table orders rename constraint fk to other", "alter table orders validate constraint fk, validate constraint self", "alter table orders drop constraint fk, drop constraint self", "drop table customers", "drop table customers cascade", "drop table orders",
        "drop table orders, customers", "truncate customers", "truncate customers cascade", "truncate orders", "truncate orders, customers", "alter table customers drop constraint customers_pkey cascade", "alter table orders drop column customer_id", "delete from customers where id = 1", "alter table orders disable trigger user",
        "alter table customers rename to clients", "alter table orders add constraint fk2 foreign key (customer_id) references customers", "alter table orders drop constraint fk, add constraint fk foreign key (customer_id) references customers on delete cascade",
        "alter table orders drop constraint fk, add constraint fk foreign key (customer_id) references customers on delete cascade not valid",
    ))  # fmt: skip
    yield Case(
        "foreign key, two statements",
        "apart",
        SHOP,
        (
            "alter table orders add constraint fk foreign key (customer_id) references customers not valid",
            "alter table orders validate constraint fk",
        ),
    )
    yield Case(
        "foreign key, two statements",
        "one transaction",
        SHOP,
        (
            "alter table orders add constraint fk foreign key (customer_id) references customers not valid",
            "alter table orders validate constraint fk",
        ),
        "file",
    )
    for source in ("root", "low", "high", "only root", "parent", "only parent", "kid"):
        for target in ("target", "parted_target"):
            for suffix in ("", " not valid"):
                yield Case(
                    "foreign key, families",
                    f"{source} to {target}{suffix}",
                    FAMILY,
                    (f"alter table {source} add constraint fk foreign key (a) references {target}{suffix}",),
                )
    plain = (*FAMILY, "create table plain (id int, a int)", rows("plain", "id, a", "g", "g"))
    for suffix in ("", " not valid"):
        yield Case(
            "foreign key, families",
            f"plain to parted_target{suffix}",
            plain,
            (f"alter table plain add foreign key (a) references parted_target{suffix}",),
        )
    held = (
        *plain,
        "alter table plain add constraint fk foreign key (a) references parted_target",
        "alter table root add constraint fk foreign key (a) references target",
        "alter table low add constraint low_fk foreign key (b) references target not valid",
    )
    yield from each("foreign key, families there", held, (
        "alter table plain drop constraint fk", "alter table root drop constraint fk", "alter table low drop constraint fk", "alter table low validate constraint low_fk", "alter table low drop constraint low_fk", "drop table root", "drop table parted_target cascade", "alter table root detach partition low",
        "alter table parted_target detach partition parted_target_low", "truncate root", "truncate parted_target", "truncate parted_target cascade", "truncate target cascade", "alter table root alter constraint fk deferrable", "alter table root rename constraint fk to other",
    ))  # fmt: skip
    yield from each(
        "foreign key, families there, 18",
        (*FAMILY, "alter table root add constraint fk foreign key (a) references target not valid"),
        ("alter table root validate constraint fk", "alter table root drop constraint fk"),
        since=18,
    )


def _merged() -> Iterator[Case]:
    """A partition has the same foreign key already, or one that is nearly the same."""
    new = "alter table root add constraint fk foreign key (a) references target"
    for suffix in ("", " not valid", " on delete cascade"):
        own = (
            *FAMILY,
            f"alter table low add constraint own foreign key (a) references target{suffix}",
            f"alter table high add constraint own foreign key (a) references target{suffix.replace(' not valid', '')}",
        )
        yield Case("foreign key, a partition has it", f"own{suffix}", own, (new,))
        yield Case(
            "foreign key, a partition has it", f"own{suffix}, new not valid", own, (f"{new} not valid",), since=18
        )


def _exclusions() -> Iterator[Case]:
    before = (
        "create extension if not exists btree_gist", "create table b (id int primary key, room int, span tsrange, p point)", rows("b", "id, room, span, p", "g", "g", "tsrange(timestamp '2024-01-01' + g * interval '1 day', timestamp '2024-01-02' + g * interval '1 day')", "point(g, g)"),
    )  # fmt: skip
    yield from each("exclusion", before, (
        "alter table b add exclude using gist (span with &&)", "alter table b add constraint x exclude using gist (room with =, span with &&)", "alter table b add exclude using gist (room with =, span with &&) where (room > 0)", "alter table b add exclude using gist (span with &&) deferrable",
        "alter table b add exclude (room with =)", "alter table b add exclude using hash (room with =)", "alter table b add constraint x exclude using gist (span with &&), add check (room > 0)",
    ))  # fmt: skip
    yield from each(
        "temporal key",
        before,
        (
            "alter table b add unique (room, span without overlaps)",
            "alter table b drop constraint b_pkey, add primary key (room, span without overlaps)",
        ),
        since=18,
    )
