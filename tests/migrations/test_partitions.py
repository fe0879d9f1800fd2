"""Partitions: made, attached, detached; which of them are read."""

from __future__ import annotations

import pytest

from queryfit.migrations.steps import ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from tests.migrations.replaying import facts, last_effects, last_step, replayed
from tests.migrations.states import states
from tests.servers import Cluster

BEFORE = """
create table pt (id int, k int, v text) partition by list (k);
create table pt1 partition of pt for values in (1);
create table pt2 partition of pt for values in (2);
create table ptd partition of pt default;
create table n3 (id int, k int, v text);
create table n4 (id int, k int not null, v text, check (k is not null and k = 4));
create table wrong (id int, k bigint, v text);
create table more (id int, k int, v text, w int);
create table r (id int primary key);
create table par (id int, a int not null, constraint pck check (a > 0));
create table ch (b int) inherits (par);
create table gch (z int) inherits (ch);
create table xch (id int, a int not null, constraint pck check (a > 0));
create table xch2 (id int, a int not null);
create table hp (a int) partition by hash (a);
create table hq (a int);
create table rp (ts date not null, id int, primary key (id, ts)) partition by range (ts);
create table rp1 partition of rp for values from ('2024-01-01') to ('2024-02-01');
create table rp2 partition of rp for values from ('2024-02-01') to ('2024-03-01');
create table rpn (ts date not null, id int not null, check (ts >= '2024-03-01' and ts < '2024-04-01'));
create table cc (id int primary key, d date, rid int, foreign key (rid, d) references rp (id, ts));
create table fkp (a int, b int references r, c int, check (c > 0)) partition by list (a);
create table fkp1 partition of fkp for values in (1);
create table fkn (a int, b int, c int, constraint fkp_c_check check (c > 0));
create table lone (k int) partition by list (k);
create table lone1 partition of lone for values in (1);
"""
CASES = [
    "create table pt9 partition of pt for values in (9)",
    "create table pt9 partition of pt (id not null, primary key (id)) for values in (9)",
    "create table pt9 partition of pt (id default 7, constraint c check (id > 0)) for values in (9)",
    "create table pt9 partition of pt default",
    "create table pt9 partition of pt for values in (1)",
    "create table pt9 partition of r for values in (1)",
    "create table rp9 partition of rp for values from ('2025-01-01') to ('2026-01-01')",
    "create table rp9 partition of rp for values from ('2024-01-15') to ('2024-01-16')",
    "create table rp9 partition of rp default",
    "create table hp1 partition of hp for values with (modulus 2, remainder 0)",
    "create table fk9 partition of fkp for values in (9)",
    "create table pts partition of pt for values in (11) partition by list (id)",
    "alter table pt attach partition n3 for values in (3)",
    "alter table pt attach partition n4 for values in (4)",
    "alter table pt attach partition n3 for values in (1)",
    "alter table pt attach partition wrong for values in (3)",
    "alter table pt attach partition more for values in (3)",
    "alter table pt attach partition r default",
    "alter table pt attach partition pt1 for values in (77)",
    "alter table rp attach partition rpn for values from ('2024-03-01') to ('2024-04-01')",
    "alter table fkp attach partition fkn for values in (3)",
    "alter table hp attach partition hq for values with (modulus 2, remainder 0)",
    "alter table r attach partition n3 for values in (3)",
    "alter table pt detach partition pt1",
    "alter table pt detach partition ptd",
    "alter table pt detach partition n3",
    "alter table rp detach partition rp1",
    "alter table fkp detach partition fkp1",
    "alter table pt detach partition pt1 concurrently",
    "alter table lone detach partition lone1 concurrently",
    "alter table rp detach partition rp1 concurrently",
    "alter table pt detach partition pt1; alter table pt attach partition pt1 for values in (1)",
    "alter table pt add constraint q check (id > 0)",
    "alter table pt add constraint q check (id > 0) no inherit",
    "alter table only pt add constraint q check (id > 0)",
    "alter table pt add primary key (id, k)",
    "alter table only pt add primary key (id, k)",
    "alter table pt add primary key (id)",
    "alter table pt add constraint uu unique (id, k)",
    "alter table fkp add foreign key (c) references r",
    "alter table fkp add foreign key (c) references r not valid",
    "alter table only fkp add foreign key (c) references r",
    "alter table fkp drop constraint fkp_b_fkey",
    "alter table fkp1 drop constraint fkp_b_fkey",
    "alter table rp drop constraint rp_pkey",
    "alter table rp drop constraint rp_pkey cascade",
    "alter table rp1 drop constraint rp1_pkey",
    "alter table pt set (fillfactor = 50)",
    "alter table pt set unlogged",
    "alter table pt set access method heap",
    "alter table ch no inherit par",
    "alter table xch inherit par",
    "alter table xch2 inherit par",
    "alter table par inherit gch",
    "create table chx () inherits (par)",
    "create table chx (a int, c int) inherits (par)",
    "create table chx (a text) inherits (par)",
    "truncate only pt",
    "truncate rp",
    "truncate rp1",
    "truncate rp cascade",
]


def test_the_schema_is_the_servers(cluster: Cluster, database: str) -> None:
    with states(cluster, database) as tried:
        assert tried.differences(BEFORE, CASES) == []


@pytest.mark.parametrize(
    ("check", "bound", "key", "is_scan"),
    [
        ("k is not null and k = 4", "in (4)", "list (k)", False),
        ("k = 4", "in (4)", "list (k)", True),
        ("k is not null and k in (4, 5)", "in (4, 5, 6)", "list (k)", False),
        ("k is not null and k in (4, 7)", "in (4, 5, 6)", "list (k)", True),
        ("k is not null and k = any (array[4, 5])", "in (5, 4)", "list (k)", False),
        ("k is null", "in (null)", "list (k)", False),
        ("k is null or k = 1", "in (1, null)", "list (k)", False),
        ("k is not null and k >= 1 and k < 10", "from (1) to (10)", "range (k)", False),
        ("k is not null and k between 1 and 9", "from (1) to (10)", "range (k)", False),
        ("k is not null and k > 0 and k < 10", "from (1) to (10)", "range (k)", True),
        ("k is not null and 5 < k and 8 > k", "from (1) to (10)", "range (k)", False),
        ("k is not null and not (k < 1 or k >= 10)", "from (1) to (10)", "range (k)", False),
        ("k is not null and k >= 1", "from (1) to (maxvalue)", "range (k)", False),
        ("k is not null and k < -5", "from (minvalue) to (-5)", "range (k)", False),
        ("k is not null and k <= -5", "from (minvalue) to (-5)", "range (k)", True),
        (
            "k is not null and id is not null and k = 1 and id >= 5 and id < 9",
            "from (1, 5) to (1, 9)",
            "range (k, id)",
            False,
        ),
        (
            "k is not null and id is not null and k >= 1 and k < 3",
            "from (1, minvalue) to (3, minvalue)",
            "range (k, id)",
            False,
        ),
        ("k is not null", "with (modulus 2, remainder 0)", "hash (k)", True),
    ],
)
def test_a_check_that_says_the_bound_spares_the_scan(  # noqa: PLR0917 -- a table of cases
    cluster: Cluster, database: str, check: str, bound: str, key: str, is_scan: bool
) -> None:
    before = f"create table pt (k int, id int) partition by {key}; create table part (k int, id int, check ({check}));"
    attach = f"alter table pt attach partition part for values {bound}"
    run = replayed(before, attach)
    effect = next(effect for effect in last_effects(run) if effect.relation == "public.part")
    assert effect.is_scan is is_scan
    with cluster.connect(database) as connection:
        connection.execute((before + "begin;" + attach).encode())
        rows = connection.execute("select seq_scan from pg_stat_xact_user_tables where relname = 'part'").fetchall()
    assert (rows[0]["seq_scan"] > 0) is is_scan


@pytest.mark.parametrize(
    ("column", "lower", "upper", "checked"),
    [
        ("date", "'2024-01-01'", "'2024-02-01'", "d >= '2024-01-01' and d < '2024-02-01'"),
        ("date", "'2024-01-01'", "'2024-02-01'", "d >= date '2024-01-01' and d <= date '2024-01-31'"),
        ("timestamptz", "'2024-01-01'", "'2024-02-01'", "d >= '2024-01-01' and d < '2024-02-01'"),
        ("timestamp", "'2024-01-01 00:00'", "'2024-02-01'", "d >= '2024-01-01' and d < '2024-02-01'"),
        ("numeric", "1.5", "2", "d >= 1.50 and d < 1.75"),
        ("text", "'a'", "'b'", "d >= 'a' and d < 'b'"),
    ],
)
def test_bounds_of_other_types_are_compared(column: str, lower: str, upper: str, checked: str) -> None:
    run = replayed(
        f"create table pt (d {column}) partition by range (d);"
        f"create table part (d {column} not null, check ({checked}));",
        f"alter table pt attach partition part for values from ({lower}) to ({upper})",
    )
    assert next(effect for effect in last_effects(run) if effect.relation == "public.part").is_scan is False


def test_an_order_that_only_a_server_knows_is_not_guessed() -> None:
    run = replayed(
        "create table pt (d text) partition by range (d);"
        "create table part (d text not null, check (d >= 'b' and d < 'c'));",
        "alter table pt attach partition part for values from ('a') to ('d')",
    )
    assert next(effect for effect in last_effects(run) if effect.relation == "public.part").is_scan is None


def test_a_default_partition_is_read_unless_a_check_excludes_the_bound() -> None:
    before = "create table pt (k int not null) partition by range (k); create table rest partition of pt default;"
    new = "create table p1 partition of pt for values from (1) to (10)"
    effect = next(effect for effect in last_effects(replayed(before, new)) if effect.relation == "public.rest")
    assert facts(effect, "lock_level", "is_scan", "is_default") == (ACCESS_EXCLUSIVE, True, True)
    proven = before + "alter table rest add check (k >= 10);"
    effect = next(effect for effect in last_effects(replayed(proven, new)) if effect.relation == "public.rest")
    assert facts(effect, "lock_level", "is_scan", "is_default") == (ACCESS_EXCLUSIVE, False, True)


def test_detaching_concurrently_lets_the_parent_work_on() -> None:
    run = replayed("alter table events detach partition events_1 concurrently")
    first = last_effects(run)[0]
    assert facts(first, "action", "relation", "other_relation", "lock_level", "is_concurrent") == (
        "detach partition", "public.events", "public.events_1", SHARE_UPDATE_EXCLUSIVE, True,
    )  # fmt: skip
    assert last_step(run).refused_in_transaction == "ALTER TABLE ... DETACH CONCURRENTLY"


def test_what_is_not_known_of_a_partition_is_not_guessed() -> None:
    run = replayed("alter table events attach partition events_1 for values in (1)")
    effect = next(effect for effect in last_effects(run) if effect.relation == "public.events_1")
    assert facts(effect, "lock_level", "is_scan", "is_known") == (ACCESS_EXCLUSIVE, None, False)
