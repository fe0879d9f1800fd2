# ruff: noqa: E501 - tables of statements
"""Storage parameters that PostgreSQL refuses: the model says so in its words, and only then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from queryfit.migrations.interpret.storage_parameters import NAMES
from tests.migrations.refusals import of_model, of_server
from tests.servers import Cluster, outermost

VALUES = {"buffering": "auto", "check_option": "local", "vacuum_index_cleanup": "on"}
_VIEW_OF = "create table base (a int); create view v as select a from base; "
FORMS = {
    "heap": ("create table t (a int) with ({})", "create table t (a int); alter table t set ({})",
             "create materialized view m with ({}) as select 1 as a", "create table t with ({}) as select 1 as a",
             "create materialized view m as select 1 as a; alter materialized view m set ({})"),
    "toast": ("create table t (a text) with (toast.{})",),
    "partitioned table": ("create table p (a int) partition by list (a) with ({})",
                          "create table p (a int) partition by list (a); alter table p set ({})"),
    "view": (_VIEW_OF + "alter view v set ({})", _VIEW_OF + "alter table v set ({})",
             "create table base (a int); create view v with ({}) as select a from base"),
    "column": ("create table t (a int); alter table t alter a set ({})",),
    **{
        method: (f"create table t (a {kind}); create index i on t using {method} (a) with ({{}})",
                 f"create table t (a {kind}); create index i on t using {method} (a); alter index i set ({{}})")
        for method, kind in {"btree": "int", "hash": "int", "gin": "int[]", "gist": "point", "spgist": "text",
                             "brin": "int"}.items()
    },
}  # fmt: skip


def value(name: str) -> str:
    if name in VALUES:
        return VALUES[name]
    return (
        "200000"
        if name.endswith(("freeze_max_age", "freeze_table_age"))
        else "128"
        if "toast_t" in name or "gin_" in name
        else "1"
        if name != "fillfactor"
        else "80"
    )


SCRIPTS = [
    form.format(f"{name} = {value(name)}")
    for kind, forms in FORMS.items()
    for form in forms
    for name in sorted({*frozenset().union(*NAMES.values()), "fill_factor", "oids", "seq_page_cost"})
]
OTHERS = [
    "create table t (a int); alter table t reset (fill_factor)",
    "create table p (a int) partition by list (a); alter table p reset (fill_factor)",
    "create view v as select 1 as a; alter view v reset (nonsense)",
    "create table t (a int); create index i on t (a); alter index i reset (nonsense)",
    "create table t (a int); alter table t alter a reset (nonsense)",
    'create table t (a int) with ("FillFactor" = 50)',
    "create table t (a int) with (FILLFACTOR = 50)",
    "create table t (a int) with (fillfactor = 5)",
    "create table t (a int) with (fillfactor = 101)",
    "create table t (a int) with (fillfactor = 10, parallel_workers = 1025)",
    "create table t (a int) with (fillfactor = '70')",
    "create table t (a int) with (fillfactor = 70.5)",
    "create table t (a int) with (autovacuum_vacuum_scale_factor = 150)",
    "create table t (a int) with (autovacuum_vacuum_scale_factor = 0.5)",
    "create table t (a int) with (toast_tuple_target = 127)",
    "create table t (a int) with (toast_tuple_target = 8160)",
    "create table t (a int) with (autovacuum_enabled)",
    "create table t (a int) with (oids)",
    "create table t (a int) with (oids = false)",
    "create table t (a int) with (oids = off)",
    "create table t (a int) with (oids = true)",
    "create table p (a int) partition by list (a) with (oids = false)",
    "create table p (a int) partition by list (a) with (toast.autovacuum_enabled = off)",
    "create table t (a int); alter table t set (oids = false)",
    "create table t (a int, unique (a) with (fill = 3))",
    "create table t (a int primary key with (fillfactor = 50))",
    "create table t (a int primary key with (fastupdate = off))",
    "create table t (a int); alter table t add unique (a) with (fill = 3)",
    "create table t (a int); alter table t add constraint u unique (a) with (fillfactor = 70)",
    "create table t (a circle); alter table t add exclude using gist (a with &&) with (buffering = on)",
    "create table t (a circle); alter table t add exclude using gist (a with &&) with (deduplicate_items = on)",
    "create table p (a int) partition by list (a); create index i on p (a) with (nope = 1)",
    "create table p (a int) partition by list (a); create index i on p (a) with (fillfactor = 50)",
    "create table p (a int) partition by list (a); create index i on p (a); alter index i set (fillfactor = 50)",
    "create table t (a text); alter table t set (toast.autovacuum_enabled = off)",
    "create table t (a int); alter table t set (toast.nonsense = 1)",
    "create view v with (toast.security_barrier = true) as select 1 as a",
    "create table t (a int); create table if not exists t (a int) with (nope = 1)",
    "alter table if exists t set (nope = 1)",
    "create sequence s; alter table s set (fillfactor = 50)",
    "create table t (a int) with (fillfactor = 50, nope = 1)",
    "create table t (a int) with (nope = 1, fillfactor = 5)",
    "create table t (a int); alter table t set (fillfactor = 70, autovacuum_enabled = no), alter a set (n_distinct = -1)",
    "create temp table t (a int) with (nope = 1)",
    "create temp table t on commit drop as select 1 as with_",
    "create table t as with x as (select 1 as a) select * from x",
    "create table t (a int); create unique index i on t (a) include (a) with (deduplicate_items = off)",
    "do $$ begin create table t (a int) with (nope = 1); end $$",
    "do $$ begin create table t with (nope = 1) as select 1 as a; end $$",
    *(f"create table t (a int) with (autovacuum_enabled = {word})"
      for word in ("off", "on", "o", "tr", "'F'", "yes", "0", "1", "2", "maybe", "'of'", "'nope'", "' on'", "''")),
]  # fmt: skip
SILENT = [
    "alter table somewhere set (fillfactor = 80)",
    "alter table somewhere set (fastupdate = off)",
    "alter index somewhere set (lists = 80)",
    "alter table if exists somewhere set (fill_factor = 80)",
    "create index on somewhere using hnsw (a) with (m = 16)",
    "create table t (a int) using columnar with (compression = 'zstd')",
    "create table t (a int); alter table t set (timescaledb.compress)",
    "set default_table_access_method = columnar; create table t (a int) with (compression = 'zstd')",
]


@pytest.mark.parametrize("version", outermost())
def test_parameters_are_refused_as_the_server_does(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("parameters")
    scripts = [*SCRIPTS, *OTHERS]
    told = of_server(cluster, "parameters", scripts)
    assert dict(zip(scripts, of_model(version, scripts), strict=True)) == dict(zip(scripts, told, strict=True))
    assert sum(refusal is not None for refusal in told) > len(SCRIPTS) / 2


@pytest.mark.parametrize("script", SILENT)
def test_what_extensions_may_know_is_let_through(script: str) -> None:
    assert of_model(18, [script]) == [None]


def test_of_a_table_that_nobody_made_only_a_name_of_no_kind_is_refused() -> None:
    assert of_model(18, ["alter table somewhere set (fill_factor = 80)"]) == [
        (0, 'unrecognized parameter "fill_factor"')
    ]
