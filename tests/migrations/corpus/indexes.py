# ruff: noqa: E501 - tables of statements, one a cell
"""Indexes: built, dropped, rebuilt, renamed, attached; with and without CONCURRENTLY, in and out of a transaction."""

from __future__ import annotations

from collections.abc import Iterator

from tests.migrations.corpus.case import SHOP, Case, each, rows

STATE = (
    *SHOP,
    "create index orders_n on orders (n)",
    "create unique index orders_opt on orders (opt)",
    "alter table orders add constraint orders_unique unique (customer_id)",
    "create materialized view report as select id, state from orders",
    "create unique index report_id on report (id)",
    "create schema other",
    "create table other.things (id int primary key, v int)",
    rows("other.things", "id, v", "g", "g"),
    "create view orders_view as select id from orders",
)
PARTED = (
    "create table root (k int, a int) partition by range (k)",
    "create table low partition of root for values from (0) to (100)",
    "create table high partition of root for values from (100) to (10000) partition by range (k)",
    "create table high_one partition of high for values from (100) to (10000)",
    rows("root", "k, a", "g", "g"),
    "create index root_k on root (k)",
    "create index root_only on only root (a)",
    "create index low_a on low (a)",
    "create index high_a on high (a)",
)


def cases() -> Iterator[Case]:
    forms = (
        "on orders (n)", "extra on orders (n)", "if not exists extra on orders (n)", "if not exists orders_n on orders (n)", "extra on orders (n, opt)", "extra on orders (n desc nulls last)", "extra on orders (lower(note))", "extra on orders (n) where n > 0",
        "extra on orders using btree (n)", "extra on orders using hash (n)", "extra on orders using gin (tags)", "extra on orders using gin (doc jsonb_path_ops)", "extra on orders using brin (placed_at)", "extra on orders (n) include (opt)", "extra on orders (n) with (fillfactor = 70)",
        "extra on only orders (n)", "extra on orders (note varchar_pattern_ops)", 'extra on orders (note collate "C")', "extra on report (state)", "extra on other.things (v)", "extra on orders ((n + opt))", "extra on orders (n) tablespace pg_default",
    )  # fmt: skip
    for form in forms:
        for word in ("index", "unique index", "index concurrently", "unique index concurrently"):
            if "unique" in word and any(
                part in form for part in ("using hash", "using gin", "using brin", "lower(", "(state)")
            ):
                continue
            yield Case(f"create {word}", form, STATE, (f"create {word} {form}",))
            if "concurrently" not in word and "unique" not in word:
                yield Case(
                    f"create {word}, in a transaction", form, STATE, ("select 1", f"create {word} {form}"), "file"
                )
    yield from each(
        "create index",
        STATE,
        (
            "create index extra on orders_view (id)",
            "create index orders_n on orders (n)",
            "create index extra on absent (n)",
            "create index extra on orders (absent)",
        ),
    )
    yield Case(
        "create unique index",
        "nulls not distinct",
        STATE,
        ("create unique index extra on orders (n) nulls not distinct",),
        since=15,
    )
    refused = (
        "create index concurrently extra on orders (n)", "create index concurrently if not exists extra on orders (n)", "drop index concurrently orders_n", "reindex index concurrently orders_n", "reindex table concurrently orders", "create unique index concurrently extra on orders (n)",
        "vacuum orders", "vacuum full orders", "vacuum", "reindex schema public", "create database nope", "drop database nope", "alter system set work_mem = '1MB'", "drop index concurrently if exists orders_n", "create tablespace nope location '/tmp'", "drop tablespace nope", "reindex schema concurrently public",
    )  # fmt: skip
    for statement in refused:
        yield Case("refused in a transaction", statement, STATE, ("select 1", statement), "file", must_refuse=True)
        yield Case("refused in a block", statement, STATE, ("begin", statement), must_refuse=True)
    yield from each("drop index", STATE, (
        "drop index orders_n", "drop index if exists orders_n", "drop index if exists absent", "drop index orders_n, orders_opt", "drop index concurrently orders_n", "drop index concurrently if exists orders_n", "drop index concurrently if exists absent", "drop index report_id", "drop index orders_n cascade",
        "drop index public.orders_n", "drop index concurrently report_id", "drop index concurrently orders_opt", "drop index absent",
    ))  # fmt: skip
    yield from each(
        "drop index, refused",
        STATE,
        (
            "drop index orders_unique",
            "drop index orders_pkey",
            "drop index concurrently orders_n, orders_opt",
            "drop index concurrently orders_unique",
            "drop index concurrently orders_n cascade",
        ),
        must_refuse=True,
    )
    yield from each("reindex", STATE, (
        "reindex index orders_n", "reindex table orders", "reindex index concurrently orders_n", "reindex table concurrently orders", "reindex (verbose) table orders", "reindex index orders_pkey", "reindex table report", "reindex index report_id", "reindex table customers", "reindex (concurrently) index orders_n",
        "reindex table concurrently report", "reindex index orders_unique", "reindex schema public", "reindex schema concurrently other", "reindex schema other",
    ))  # fmt: skip
    yield from each(
        "reindex",
        STATE,
        (
            "reindex (concurrently true) table orders",
            "reindex (concurrently off) table orders",
            "reindex (tablespace pg_default) index orders_n",
        ),
        since=14,
    )
    yield from each("alter index", STATE, (
        "alter index orders_n rename to other_n", "alter index if exists orders_n rename to other_n", "alter index if exists absent rename to other_n", "alter index orders_n set (fillfactor = 70)", "alter index orders_n reset (fillfactor)", "alter index orders_n set tablespace pg_default", "alter index orders_pkey rename to orders_key",
        "alter index orders_unique rename to u", "alter table orders_n rename to other_n", "alter index orders rename to purchases", "alter index all in tablespace pg_default owned by current_user set tablespace pg_default", "comment on index orders_n is 'x'", "alter table orders cluster on orders_n", "alter index orders_n depends on extension plpgsql",
    ))  # fmt: skip
    yield from each("index, partitioned", PARTED, (
        "create index extra on root (a)", "create index extra on only root (k)", "create index extra on low (k)", "create index extra on high (k)", "create index extra on only high (k)", "create unique index extra on root (k)", "create unique index extra on only root (k)", "create unique index extra on low (a)",
        "alter index root_only attach partition low_a", "alter index root_only attach partition high_a", "drop index root_k", "drop index root_only", "drop index low_a", "drop index low_k_idx", "drop index if exists root_k cascade", "alter index root_k rename to other", "alter index low_k_idx rename to other", "reindex index root_k",
        "reindex table root", "reindex table low", "reindex index low_a", "reindex table concurrently root", "reindex index concurrently root_k", "reindex index concurrently low_a", "create index concurrently extra on low (k)", "drop index concurrently low_a", "create index extra on root (k)", "create index if not exists root_k on root (k)",
        "reindex table high", "create index on root (k, a) where a > 0", "alter index root_k attach partition low_a", "reindex table concurrently high",
    ))  # fmt: skip
    yield from each(
        "index, partitioned, refused",
        PARTED,
        (
            "create index concurrently extra on root (a)",
            "drop index concurrently root_k",
            "create unique index extra on root (a)",
            "create index concurrently extra on high (a)",
        ),
        must_refuse=True,
    )
    family = (
        "create table parent (k int, a int)",
        rows("parent", "k, a", "g", "g"),
        "create table kid () inherits (parent)",
        rows("kid", "k, a", "g", "g"),
    )
    yield from each(
        "index, inheritance",
        family,
        ("create index on parent (a)", "create index on kid (a)", "create unique index on parent (k)"),
    )
    fresh = ("create table fresh (id int, n int)", rows("fresh", "id, n", "g", "g"))
    for statement in (
        "create index on fresh (n)",
        "alter table fresh add primary key (id)",
        "create unique index on fresh (n)",
        "alter table fresh alter n type bigint",
        "reindex table fresh",
        "cluster fresh using fresh_pkey",
        "truncate fresh",
        "drop table fresh",
        "alter table fresh add check (n > 0)",
    ):
        yield Case(
            "new table, in the transaction",
            statement,
            SHOP,
            (*fresh, *(("alter table fresh add primary key (id)",) if "cluster" in statement else ()), statement),
            "file",
        )
        yield Case(
            "new table, in the file",
            statement,
            SHOP,
            (*fresh, *(("alter table fresh add primary key (id)",) if "cluster" in statement else ()), statement),
        )
        yield Case(
            "temporary table",
            statement.replace("fresh", "tmp"),
            SHOP,
            (
                "create temp table tmp (id int, n int)",
                *(("alter table tmp add primary key (id)",) if "cluster" in statement else ()),
                statement.replace("fresh", "tmp"),
            ),
        )
