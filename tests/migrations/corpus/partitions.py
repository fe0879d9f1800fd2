# ruff: noqa: E501 - tables of statements, one a cell
"""Partitions: created, attached, detached; with and without a proof, a default partition, foreign keys, indexes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.migrations.corpus.case import Case, each, rows

ROOT = (
    "create table root (k int, a int not null, t text) partition by range (k)",
    "create table low partition of root for values from (0) to (1000)",
    rows("root", "k, a, t", "g", "g", "'x'"),
)
DEFAULT = (
    "create table rest partition of root default",
    "insert into rest select g + 100000, g, 'x' from generate_series(1, 200) g",
)
CANDIDATE = (
    "create table cand (k int, a int not null, t text)",
    "insert into cand select g + 1000, g, 'x' from generate_series(1, 200) g",
)
PROOFS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("none", ()),
    ("check", ("alter table cand add constraint p check (k >= 1000 and k < 2000)",)),
    (
        "check and not null",
        ("alter table cand add constraint p check (k >= 1000 and k < 2000)", "alter table cand alter k set not null"),
    ),
    ("check with is not null", ("alter table cand add constraint p check (k is not null and k >= 1000 and k < 2000)",)),
    ("narrower check", ("alter table cand add constraint p check (k is not null and k >= 1100 and k < 1500)",)),
    (
        "two checks",
        (
            "alter table cand add constraint p check (k >= 1000)",
            "alter table cand add constraint q check (k < 2000)",
            "alter table cand alter k set not null",
        ),
    ),
    ("not valid", ("alter table cand add constraint p check (k is not null and k >= 1000 and k < 2000) not valid",)),
    ("wrong check", ("alter table cand add constraint p check (k is not null and k >= 0 and k < 5000)",)),
    ("between", ("alter table cand add constraint p check (k is not null and k between 1000 and 1999)",)),
    ("reversed", ("alter table cand add constraint p check (k is not null and 1000 <= k and 2000 > k)",)),
    ("equality", ("alter table cand add constraint p check (k is not null and k = 1500) not valid",)),
)
NO_ROWS_OUT = frozenset({"narrower check"})


def cases() -> Iterator[Case]:
    attach = "alter table root attach partition cand for values from (1000) to (2000)"
    for name, proof in PROOFS:
        candidate = (
            (CANDIDATE[0], CANDIDATE[1].replace("g + 1000", "1100 + g % 100")) if name in NO_ROWS_OUT else CANDIDATE
        )
        for place, base in (("", ROOT), ("with default, ", (*ROOT, *DEFAULT))):
            yield Case("attach partition", f"{place}{name}", (*base, *candidate, *proof), (attach,))
        proven = (
            *ROOT,
            *DEFAULT,
            "alter table rest add constraint not_there check (k is not null and (k < 1000 or k >= 2000))",
        )
        yield Case("attach partition", f"with proven default, {name}", (*proven, *candidate, *proof), (attach,))
        yield Case("attach partition", f"proof in the file, {name}", (*ROOT, *candidate), (*proof, attach))
        yield Case(
            "attach partition", f"proof in the transaction, {name}", (*ROOT, *candidate), (*proof, attach), "file"
        )
    yield from _kinds()
    yield from _with_company()
    yield from _created()
    yield from _detached()


def _kinds() -> Iterator[Case]:
    """List, hash, text and timestamp keys; several columns; expressions; the default itself."""
    listed = (
        "create table root (k text, a int) partition by list (k)", "create table one partition of root for values in ('a', 'b')", "insert into root select 'a', g from generate_series(1, 200) g",
        "create table cand (k text, a int)", "insert into cand select 'c', g from generate_series(1, 200) g",
    )  # fmt: skip
    statement = "alter table root attach partition cand for values in ('c', 'd')"
    for name, proof in (
        ("none", ()), ("in", ("alter table cand add constraint p check (k is not null and k in ('c', 'd'))",)), ("equals", ("alter table cand add constraint p check (k is not null and k = 'c')",)),
        ("any", ("alter table cand add constraint p check (k is not null and k = any (array['c', 'd']))",)), ("or", ("alter table cand add constraint p check (k is not null and (k = 'c' or k = 'd'))",)), ("more values", ("alter table cand add constraint p check (k is not null and k in ('c', 'd', 'e'))",)),
        ("nullable", ("alter table cand add constraint p check (k in ('c', 'd'))",)), ("nullable, not null", ("alter table cand add constraint p check (k in ('c', 'd'))", "alter table cand alter k set not null")),
    ):  # fmt: skip
        yield Case("attach partition, list", name, (*listed, *proof), (statement,))
    yield Case("attach partition, list", "as default", listed, ("alter table root attach partition cand default",))
    yield Case(
        "attach partition, list",
        "as default, proven",
        (*listed, "alter table cand add constraint p check (k is not null and k not in ('a', 'b'))"),
        ("alter table root attach partition cand default",),
    )
    yield Case(
        "attach partition, list",
        "with null",
        listed,
        ("alter table root attach partition cand for values in ('c', null)",),
    )
    hashed = (
        "create table root (k int, a int) partition by hash (k)", "create table h0 partition of root for values with (modulus 2, remainder 0)", "create table h1 partition of root for values with (modulus 2, remainder 1)", rows("root", "k, a", "g", "g"), "create table cand (k int, a int)",
    )  # fmt: skip
    yield Case(
        "attach partition, hash",
        "after a detach",
        (*hashed, "alter table root detach partition h1"),
        ("alter table root attach partition h1 for values with (modulus 2, remainder 1)",),
    )
    yield Case(
        "attach partition, hash",
        "empty candidate",
        (*hashed, "drop table h1"),
        ("alter table root attach partition cand for values with (modulus 2, remainder 1)",),
    )
    stamped = (
        "create table root (at timestamptz not null, a int) partition by range (at)", "create table jan partition of root for values from ('2024-01-01') to ('2024-02-01')", rows("root", "at, a", "timestamptz '2024-01-01 12:00' + g * interval '1 h'", "g"),
        "create table cand (at timestamptz not null, a int)", rows("cand", "at, a", "timestamptz '2024-02-02' + g * interval '1 h'", "g"),
    )  # fmt: skip
    statement = "alter table root attach partition cand for values from ('2024-02-01') to ('2024-03-01')"
    for name, proof in (
        ("none", ()), ("check", ("alter table cand add constraint p check (at >= '2024-02-01' and at < '2024-03-01')",)), ("check with casts", ("alter table cand add constraint p check (at >= timestamptz '2024-02-01' and at < '2024-03-01'::timestamptz)",)),
        ("check of dates", ("alter table cand add constraint p check (at >= date '2024-02-01' and at < date '2024-03-01')",)), ("narrower", ("alter table cand add constraint p check (at >= '2024-02-01' and at < '2024-02-20')",)), ("wider", ("alter table cand add constraint p check (at >= '2024-01-01' and at < '2024-03-01')",)),
    ):  # fmt: skip
        yield Case("attach partition, timestamp", name, (*stamped, *proof), (statement,))
    pairs = (
        "create table root (k int not null, j int not null) partition by range (k, j)",
        "create table low partition of root for values from (0, 0) to (10, 10)",
        "create table cand (k int not null, j int not null)",
        rows("cand", "k, j", "20", "g"),
    )
    yield Case(
        "attach partition, two columns",
        "none",
        pairs,
        ("alter table root attach partition cand for values from (20, 0) to (30, 0)",),
    )
    yield Case(
        "attach partition, two columns",
        "check",
        (*pairs, "alter table cand add constraint p check (k >= 20 and k < 30)"),
        ("alter table root attach partition cand for values from (20, 0) to (30, 0)",),
    )
    expressed = (
        "create table root (k int, j int) partition by range ((k % 10))",
        "create table low partition of root for values from (0) to (5)",
        "create table cand (k int, j int)",
        rows("cand", "k, j", "g * 10 + 7", "g"),
    )
    yield Case(
        "attach partition, expression",
        "none",
        expressed,
        ("alter table root attach partition cand for values from (5) to (10)",),
    )
    yield Case(
        "attach partition, open ends",
        "none",
        (*ROOT, *CANDIDATE),
        ("alter table root attach partition cand for values from (1000) to (maxvalue)",),
    )
    yield Case(
        "attach partition, open ends",
        "check",
        (*ROOT, *CANDIDATE, "alter table cand add constraint p check (k is not null and k >= 1000)"),
        ("alter table root attach partition cand for values from (1000) to (maxvalue)",),
    )


def _with_company() -> Iterator[Case]:
    """Indexes, keys, checks, triggers and nested partitions on either side of an attach."""
    attach = "alter table root attach partition cand for values from (1000) to (2000)"
    proof = "alter table cand add constraint p check (k is not null and k >= 1000 and k < 2000)"
    target = ("create table target (id int primary key)", "insert into target select g from generate_series(1, 500) g")
    company: dict[str, tuple[str, ...]] = {
        "index on root": ("create index on root (a)",),
        "index on both": ("create index on root (a)", "create index on cand (a)"),
        "two indexes on root, one on both": (
            "create index on root (a)",
            "create index on root (t)",
            "create index on cand (a)",
        ),
        "other index on both": ("create index on root (a)", "create index on cand (a desc)"),
        "partial index on root": ("create index on root (a) where a > 0", "create index on cand (a)"),
        "expression index on both": ("create index on root ((a + 1))", "create index on cand ((a + 1))"),
        "primary key on root": ("alter table root add primary key (k)", "alter table cand alter k set not null"),
        "primary key on both": ("alter table root add primary key (k)", "alter table cand add primary key (k)"),
        "unique index for a primary key": (
            "alter table root add primary key (k)",
            "alter table cand alter k set not null",
            "create unique index on cand (k)",
        ),
        "unique on root": ("alter table root add unique (k, a)",),
        "foreign key on root": (*target, "alter table root add constraint fk foreign key (a) references target"),
        "foreign key on both": (
            *target,
            "alter table root add constraint fk foreign key (a) references target",
            "alter table cand add constraint fk foreign key (a) references target",
        ),
        "foreign key on both, not valid": (
            *target,
            "alter table root add constraint fk foreign key (a) references target",
            "alter table cand add constraint fk foreign key (a) references target not valid",
        ),
        "check on both": (
            "alter table root add constraint c check (a > 0)",
            "alter table cand add constraint c check (a > 0)",
        ),
        "check on both, not valid": (
            "alter table root add constraint c check (a > 0)",
            "alter table cand add constraint c check (a > 0) not valid",
        ),
        "check on root": ("alter table root add constraint c check (a > 0)",),
        "trigger on root": (
            "create trigger tr after insert on root for each row execute function suppress_redundant_updates_trigger()",
        ),
        "not null on root": ("alter table root alter t set not null",),
        "not null on both": ("alter table root alter t set not null", "alter table cand alter t set not null"),
    }
    for name, statements in company.items():
        for place, middle in (("", ()), ("with default, ", DEFAULT)):
            yield Case(
                "attach partition, company", f"{place}{name}", (*ROOT, *middle, *CANDIDATE, *statements), (attach,)
            )
            yield Case(
                "attach partition, company",
                f"{place}{name}, proven",
                (*ROOT, *middle, *CANDIDATE, proof, *statements),
                (attach,),
            )
    nested = (
        *ROOT, "create table cand (k int, a int not null, t text) partition by range (a)", "create table cand_low partition of cand for values from (0) to (100)", "create table cand_high partition of cand for values from (100) to (1000)",
        "insert into cand select g + 1000, g, 'x' from generate_series(1, 200) g",
    )  # fmt: skip
    yield Case("attach partition, nested", "none", nested, (attach,))
    yield Case("attach partition, nested", "proven at the top", (*nested, proof), (attach,))
    yield Case(
        "attach partition, nested", "proven in one", (*nested, proof.replace("table cand", "table cand_low")), (attach,)
    )
    yield Case("attach partition, nested", "indexed", (*nested, "create index on root (a)"), (attach,))
    deep_default = (*ROOT, "create table rest partition of root default partition by range (a)", "create table rest_low partition of rest for values from (0) to (100)", "create table rest_rest partition of rest default",
                    "insert into root select g + 100000, g, 'x' from generate_series(1, 200) g", *CANDIDATE)  # fmt: skip
    yield Case("attach partition, nested default", "none", deep_default, (attach,))
    yield Case("attach partition, nested default", "proven", (*deep_default, proof), (attach,))
    referenced = (
        *ROOT,
        *CANDIDATE,
        "alter table root add primary key (k)",
        "alter table cand add primary key (k)",
        "create table child (k int references root)",
        "insert into child select g from generate_series(1, 100) g",
    )
    yield Case("attach partition, referenced root", "none", referenced, (attach,))
    yield Case("attach partition, referenced root", "detach", referenced, ("alter table root detach partition low",))


def _created() -> Iterator[Case]:
    partition = "partition of root for values from (1000) to (2000)"
    target = ("create table target (id int primary key)", "insert into target select g from generate_series(1, 500) g")
    for place, base in (("plain", ROOT), ("default", (*ROOT, *DEFAULT)), ("proven default", (*ROOT, *DEFAULT, "alter table rest add constraint not_there check (k is not null and (k < 1000 or k >= 2000))")),
                        ("indexed, default", (*ROOT, *DEFAULT, "create index on root (a)")), ("foreign key", (*ROOT, *target, "alter table root add foreign key (a) references target")),
                        ("key", (*ROOT, "alter table root add primary key (k)"))):  # fmt: skip
        yield from each(f"create partition, {place}", base, (
            f"create table cand {partition}", f"create table if not exists cand {partition}", f"create table if not exists low {partition}", "create table cand (like root including all)", f"create table cand {partition} partition by range (a)",
        ))  # fmt: skip
    yield Case("create partition, default itself", "default", ROOT, ("create table rest2 partition of root default",))
    yield Case(
        "create partition, overlap",
        "overlap",
        ROOT,
        ("create table cand partition of root for values from (500) to (2000)",),
    )
    yield Case(
        "create partition, in a transaction",
        "default",
        (*ROOT, *DEFAULT),
        ("select 1", f"create table cand {partition}"),
        "file",
    )


def _detached() -> Iterator[Case]:
    base = (*ROOT, *DEFAULT, "create index on root (a)")
    target = (
        "create table target (id int primary key)",
        "insert into target select g from generate_series(1, 500) g",
        "alter table root add foreign key (a) references target",
    )
    for place, before in (
        ("with default", base),
        ("no default", (*ROOT, "create index on root (a)")),
        ("foreign key", (*ROOT, *target)),
        ("key", (*ROOT, "alter table root add primary key (k)")),
    ):
        yield from each(f"detach partition, {place}", before, ("alter table root detach partition low", "alter table only root detach partition low", "alter table if exists root detach partition low", "drop table low", "drop table root", "drop table low cascade", "truncate root", "truncate low", "truncate only root",
                                                               "alter table low rename to lower", "alter table low set (fillfactor = 80)", "alter table low no inherit root", "alter table root rename to trunk"))  # fmt: skip
        refuses = place == "with default"
        yield Case(
            f"detach partition, {place}",
            "concurrently",
            before,
            ("alter table root detach partition low concurrently",),
            since=14,
            must_refuse=refuses,
        )
        yield Case(
            f"detach partition, {place}",
            "concurrently in a transaction",
            before,
            ("select 1", "alter table root detach partition low concurrently"),
            "file",
            since=14,
            must_refuse=True,
        )
        yield Case(
            f"detach partition, {place}",
            "finalize",
            before,
            ("alter table root detach partition low finalize",),
            since=14,
        )
    yield Case("detach partition, default", "default", base, ("alter table root detach partition rest",))
    yield Case(
        "detach partition, and drop",
        "one transaction",
        base,
        ("alter table root detach partition low", "drop table low"),
        "file",
    )
