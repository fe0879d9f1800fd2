"""RAISE that every run of a block or function comes to: the statement is refused with its message, and only then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.migrations.refusals import of_model, of_server
from tests.servers import Cluster, outermost


def block(body: str) -> str:
    return f"do $q$ {body} $q$"


def function(body: str, more: str = "") -> str:
    return f"create function f(a int default 1) returns void language plpgsql {more} as $q$ {body} $q$; "


def procedure(body: str) -> str:
    return f"create procedure p() language plpgsql as $q$ {body} $q$; "


ENDS = "begin raise exception 'no way'; end"
MAKES = "begin create table made (); raise exception 'no way'; end"
REFUSED = [
    block(ENDS),
    block("begin raise 'plain'; end"),
    block("begin raise exception '% of % is 100%%', 'a', 2; end"),
    block("declare k text := 'v'; begin raise exception 'k is %', k; end"),
    block("begin raise division_by_zero; end"),
    block("begin raise sqlstate '22012'; end"),
    block("begin raise exception using message = 'm', errcode = '22012'; end"),
    block("begin raise unique_violation using message = 'twice'; end"),
    block("begin raise; end"),
    block("begin raise notice 'x'; raise exception 'after'; end"),
    block("begin create table t (a int); raise exception 'after'; end"),
    block("begin begin raise exception 'inner'; end; end"),
    block("begin raise exception 'first'; raise exception 'second'; end"),
    block("begin for i in 1..3 loop null; end loop; raise exception 'after a loop'; end"),
    block("begin for i in 1..3 loop exit when i = 2; end loop; raise exception 'after an exit'; end"),
    block("begin begin perform 1 / 0; exception when others then null; end; raise exception 'after a handler'; end"),
    block("begin if random() > 2 then perform 1; end if; raise exception 'after an if'; end"),
    function(MAKES) + "select f()",
    function(MAKES) + "select f(2)",
    procedure(ENDS) + "call p()",
    procedure(ENDS) + block("begin call p(); end"),
    function(MAKES) + block("begin perform f(); end"),
]
ACCEPTED = [
    block("begin raise notice 'x'; raise warning 'y'; raise info 'z'; end"),
    block("begin return; raise exception 'x'; end"),
    block("begin begin return; end; raise exception 'x'; end"),
    block("begin if now() > '2000-01-01' then return; end if; raise exception 'x'; end"),
    block("begin for i in 1..2 loop return; end loop; raise exception 'x'; end"),
    block("begin if false then raise exception 'x'; end if; end"),
    block("begin if random() > 2 then raise exception 'x'; end if; end"),
    block("begin for i in 1..0 loop raise exception 'x'; end loop; end"),
    block("begin for i in 1..2 loop exit; raise exception 'x'; end loop; end"),
    block("begin while false loop raise exception 'x'; end loop; end"),
    block("begin for i in 1..2 loop continue; raise exception 'x'; end loop; end"),
    block("begin <<b>> begin exit b; raise exception 'x'; end; end"),
    block("begin <<o>> for i in 1..2 loop for j in 1..2 loop exit o; end loop; raise exception 'x'; end loop; end"),
    block("begin case when random() > 2 then raise exception 'x'; else null; end case; end"),
    block("begin raise exception 'x'; exception when others then null; end"),
    block("begin begin raise exception 'x'; exception when others then null; end; end"),
    block("begin begin raise exception 'x'; exception when raise_exception then return; end; raise exception 'y'; end"),
    block("begin perform 1; exception when others then raise exception 'x'; end"),
    function(MAKES),
    procedure(ENDS),
    function(MAKES, "strict") + "select f(null)",
    function(MAKES) + "select f() where false",
    function(MAKES) + "create table t (a int); select f() from t",
    function(MAKES) + "select case when false then f() end",
    function(MAKES) + block("begin if false then perform f(); end if; end"),
    function(MAKES) + block("begin perform f(); exception when others then null; end"),
    function(MAKES) + "explain select f()",
    function(MAKES) + "prepare s as select f()",
    function(MAKES).replace("void", "int") + "create view v as select f()",
    function(ENDS).replace("a int default 1", "").replace("void", "trigger")
    + "create table t (a int); create trigger g before insert on t for each row execute function f()",
]  # fmt: skip


@pytest.mark.parametrize("version", outermost())
def test_what_surely_raises_is_refused(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("raises")
    scripts = [*REFUSED, *ACCEPTED]
    told = of_server(cluster, "raises", scripts)
    assert dict(zip(scripts, of_model(version, scripts), strict=True)) == dict(zip(scripts, told, strict=True))
    assert [refusal is None for refusal in told] == [False] * len(REFUSED) + [True] * len(ACCEPTED)
