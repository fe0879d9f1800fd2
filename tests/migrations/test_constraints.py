"""Constraints: names, what is checked, what is refused, and the schema on real servers."""

from __future__ import annotations

import pytest

from queryfit.migrations.steps import ROW_SHARE, SHARE_ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from tests.migrations.replaying import facts, last_effects, last_step, relation, replayed
from tests.migrations.states import states
from tests.servers import Cluster

BEFORE = """
create table t (id int primary key, a int, b text, c int not null);
create index t_a on t (a);
create unique index t_u on t (a);
create unique index t_c on t (c);
create unique index t_part on t (c) where c > 1;
create unique index t_expr on t (lower(b));
create unique index t_desc on t (c desc);
create table p (id int primary key, y int unique, z date unique);
create table c (id int, pid int references p, z int check (z > 0), d date);
alter table c add constraint ck check (id > 0) not valid, add constraint fkn foreign key (id) references p not valid;
create table un (x int);
create view v as select a from t;
create table par (id int, a int not null, constraint pck check (a > 0));
create table ch (b int) inherits (par);
create table gch (z int) inherits (ch);
"""
CHECKS = [
    "alter table t add check (a > 0)",
    "alter table t add check (a > 0 and b <> '')",
    "alter table t add check (1 > 0)",
    "alter table t add check (a > 0), add check (a > 1)",
    "alter table t add constraint x check (a > 0) not valid",
    "alter table t add constraint x check (a > 0) no inherit",
    "alter table t add constraint t_pkey check (a > 0)",
    "alter table t add constraint ck check (a > 0)",
    "alter table t add check (nix > 0)",
    "alter table c validate constraint ck",
    "alter table c validate constraint fkn",
    "alter table c validate constraint c_z_check",
    "alter table c validate constraint nix",
    "alter table p validate constraint p_pkey",
    "alter table c drop constraint ck",
    "alter table c drop constraint nix",
    "alter table c drop constraint if exists nix",
    "alter table par add constraint q check (id > 0)",
    "alter table only par add constraint q check (id > 0)",
    "alter table only par add constraint q check (id > 0) no inherit",
    "alter table par add constraint q check (id > 0) not valid; alter table par validate constraint q",
    "alter table par drop constraint pck",
    "alter table only par drop constraint pck",
    "alter table ch drop constraint pck",
    "create table k (constraint pck check (a > 0)) inherits (par); alter table par drop constraint pck",
    "create table k (constraint pck check (a > 1)) inherits (par)",
    "alter table ch add constraint pck check (a > 0); alter table par drop constraint pck",
    "alter table ch add constraint pck check (a > 1)",
]
KEYS = [
    "alter table t add constraint x unique (b)",
    "alter table t add unique (b, a)",
    "alter table t add unique (b) include (a)",
    "alter table t add constraint t_a unique (b)",
    "alter table t add unique (nix)",
    "alter table t add primary key (a)",
    "alter table c add primary key (id, pid)",
    "alter table c add constraint tt primary key (id)",
    "alter table t add exclude using btree (a with =)",
    "alter table t add constraint ex exclude (lower(b) with =, a with =)",
    "alter table un add primary key using index t_u",
    "alter table t drop constraint t_pkey, add constraint k primary key using index t_u",
    "alter table t drop constraint t_pkey, add primary key using index t_c",
    "alter table t add constraint tt unique using index t_u",
    "alter table t add unique using index t_u",
    "alter table t add unique using index t_a",
    "alter table t add unique using index t_part",
    "alter table t add unique using index t_expr",
    "alter table t add unique using index t_desc",
    "alter table t add unique using index nix",
    "alter table p drop constraint p_pkey",
    "alter table p drop constraint p_pkey cascade",
    "alter table p drop constraint p_y_key",
    "alter table par add primary key (id)",
    "alter table par add unique (id)",
]
REFERENCES = [
    "alter table c add foreign key (id) references p",
    "alter table c add foreign key (id) references p not valid",
    "alter table c add foreign key (id, pid) references p",
    "alter table c add foreign key (id) references p (y)",
    "alter table c add foreign key (d) references p (z)",
    "alter table c add foreign key (d) references p",
    "alter table c add foreign key (id) references t (b)",
    "alter table c add foreign key (id) references t (c)",
    "alter table c add foreign key (id) references un",
    "alter table c add foreign key (id) references v",
    "alter table c add foreign key (id) references nix",
    "alter table c add foreign key (nix) references p",
    "alter table c drop constraint fkn",
    "alter table c drop constraint c_pid_fkey, add foreign key (pid) references p (y)",
    "alter table c add constraint c_pid_fkey2 foreign key (pid) references p, add foreign key (pid) references p",
    "alter table c alter constraint fkn deferrable",
    "alter table c alter constraint ck deferrable",
    "alter table c alter constraint nix deferrable",
]
OF_18 = [
    "alter table c add constraint n not null pid",
    "alter table c add not null pid",
    "alter table c add constraint n not null pid not valid",
    "alter table c add constraint n not null pid not valid; alter table c validate constraint n",
    "alter table c alter pid set not null; alter table c drop constraint c_pid_not_null",
    "alter table t drop constraint t_id_not_null",
    "alter table c add constraint q check (pid > 0) not enforced",
    "alter table c add constraint q foreign key (pid) references p not enforced",
    "alter table c add constraint q check (pid > 0) not enforced; alter table c validate constraint q",
    "alter table c alter constraint fkn not enforced",
    "alter table c alter constraint c_pid_fkey not enforced; alter table c alter constraint c_pid_fkey enforced",
    "alter table t alter constraint t_pkey inherit",
    "alter table par add constraint n not null id",
    "alter table only par add constraint n not null id",
    "alter table only par add constraint n not null id no inherit",
    "alter table par drop constraint par_a_not_null",
    "alter table ch drop constraint par_a_not_null",
]


def test_the_schema_is_the_servers(cluster: Cluster, database: str) -> None:
    with states(cluster, database) as tried:
        assert tried.differences(BEFORE, [*CHECKS, *KEYS, *REFERENCES, *OF_18]) == []


def test_a_foreign_key_scans_its_own_table_and_locks_both() -> None:
    run = replayed("alter table orders add constraint fk foreign key (customer_id) references customers (id)")
    own, other = last_effects(run)
    assert facts(own, "action", "relation", "lock_level", "is_scan", "is_validated", "columns", "new_name") == (
        "add foreign key", "public.orders", SHARE_ROW_EXCLUSIVE, True, True, "customer_id", "id",
    )  # fmt: skip
    assert facts(other, "action", "relation", "lock_level", "is_scan") == (
        "also lock", "public.customers", SHARE_ROW_EXCLUSIVE, False,
    )  # fmt: skip


def test_not_valid_leaves_the_scan_to_validate() -> None:
    run = replayed(
        "alter table orders add constraint fk foreign key (customer_id) references customers not valid",
        "alter table orders validate constraint fk",
    )
    added = next(effect for effect in run.effects if effect.action == "add foreign key")
    assert facts(added, "is_scan", "is_validated") == (False, False)
    validated, other = last_effects(run)
    assert facts(validated, "lock_level", "is_scan") == (SHARE_UPDATE_EXCLUSIVE, True)
    assert facts(other, "relation", "lock_level") == ("public.customers", ROW_SHARE)


def test_a_key_over_an_unknown_table_may_scan_for_nulls() -> None:
    (effect,) = last_effects(replayed("alter table orders add primary key (id)"))
    assert facts(effect, "object_name", "is_index_build", "is_scan") == ("orders_pkey", True, None)


@pytest.mark.parametrize(
    ("column", "is_scan"),
    [("a int not null", False), ("a int", True), ("a int check (a is not null)", False), ("a int check (a > 0)", True)],
)
def test_a_primary_key_over_an_index_scans_only_nullable_columns(column: str, is_scan: bool) -> None:
    run = replayed(f"create table t ({column}); create unique index i on t (a)",
                   "alter table t add primary key using index i")  # fmt: skip
    (effect,) = last_effects(run)
    assert facts(effect, "is_index_build", "is_scan", "object_name", "definition") == (False, is_scan, "i", "i")
    assert relation(run, "t").columns["a"].is_not_null


def test_a_foreign_key_not_valid_on_a_partitioned_table_is_new_in_18() -> None:
    sql = (
        "create table a (id int primary key); create table p (k int, a int) partition by list (k);"
        "alter table p add foreign key (a) references a not valid"
    )
    assert last_step(replayed(sql, version=18)).refusal is None
    assert "NOT VALID" in str(last_step(replayed(sql, version=17)).refusal)


def test_the_text_of_a_constraint_is_as_written() -> None:
    run = replayed(
        "create table t (a int, b text);\nalter table t add constraint x check (b <> ')' and\n  a in (1, 2)), add y int"
    )
    effect = next(effect for effect in last_effects(run) if effect.action == "add check")
    assert effect.definition == "constraint x check (b <> ')' and a in (1, 2))"


def test_a_new_column_without_a_default_breaks_no_reference() -> None:
    run = replayed(
        "create table p (id int primary key); create table t (a int)", "alter table t add p_id int references p"
    )
    key = next(effect for effect in last_effects(run) if effect.action == "add foreign key")
    assert facts(key, "is_scan", "is_validated") == (False, True)
