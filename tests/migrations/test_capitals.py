"""Names that differ only in their capitals: refused as the server does, where all of the schema is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.migrations.refusals import of_model, of_server
from tests.servers import Cluster, outermost

BEFORE = 'create table "Customers" (id int primary key, name text); '
SCRIPTS = [
    BEFORE + "alter table Customers add column a int",
    BEFORE + "alter table customers add column a int",
    BEFORE + 'alter table "CUSTOMERS" add column a int',
    BEFORE + 'alter table "Customers" add column a int',
    BEFORE + "alter table public.Customers add column a int",
    BEFORE + "create index on Customers (id)",
    BEFORE + "insert into Customers values (1, 'a')",
    BEFORE + "update Customers set name = 'a'",
    BEFORE + "create table orders (id int, customer int references Customers)",
    BEFORE + "create table orders (like Customers)",
    BEFORE + "alter table if exists Customers add column a int",
    BEFORE + "create table customers (id int); alter table Customers add column a int",
    BEFORE + 'alter table "Customers" rename to customers; alter table Customers add column a int',
    BEFORE + 'drop table "Customers"; create table Customers (id int); alter table customers add a int',
    BEFORE + "create schema x; create table x.customers (id int); alter table x.Customers add a int",
    "create table customers (id int); alter table CUSTOMERS add b int",
    BEFORE + "do $$ begin alter table Customers add column a int; end $$",
    BEFORE + "do $$ begin if false then alter table Customers add column a int; end if; end $$",
]
SILENT = [
    'create table customers (id int); alter table "Customers" add column a int',  # its own name has no capitals
    "alter table unseen add a int; " + BEFORE + "alter table Customers add column a int",
    BEFORE + 'insert into "Customers" select * from customers; alter table customers rename to old',
    BEFORE + "alter table Customers add column a int; create table if not exists customers (id int)",
    "set search_path = a, b; " + BEFORE + "alter table Customers add column a int",
    BEFORE + "do $$ begin execute f(); end $$; alter table Customers add column a int",
]


@pytest.mark.parametrize("version", outermost())
def test_capitals_matter(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("capitals")
    told = of_server(cluster, "capitals", SCRIPTS)
    assert dict(zip(SCRIPTS, of_model(version, SCRIPTS), strict=True)) == dict(zip(SCRIPTS, told, strict=True))


@pytest.mark.parametrize("script", SILENT)
def test_what_may_be_there_is_let_through(script: str) -> None:
    assert of_model(18, [script]) == [None]
