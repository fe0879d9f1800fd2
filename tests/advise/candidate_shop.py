"""A shop with a column for every kind of index, captured once; statements against it become candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from queryfit.advise.candidates.evidence import (
    catalog_of_session,
    relations_of,
    schema_of_session,
    statements_of_workload,
)
from queryfit.advise.candidates.propose import Options, Proposal, Schema, Statement, propose
from queryfit.advise.existing import existing_indexes
from queryfit.advise.model import Existing, Weighted, Workload
from queryfit.audit import take_capture
from queryfit.capture.server import CaptureOptions
from queryfit.evidence.session import Session, open_session
from queryfit.evidence.store import Store
from queryfit.lab.planner import Index, Query
from queryfit.sql.names import quote_identifier

if TYPE_CHECKING:
    from queryfit.sql.catalog import Catalog
    from tests.servers import Cluster

SCHEMA = """
    create schema "We ird";
    create extension pg_trgm;
    create extension btree_gin;
    create type mood as enum ('good', 'bad');
    create function cents(numeric) returns bigint immutable language sql return ($1 * 100)::bigint;
    create function noisy(numeric) returns numeric volatile language plpgsql as 'begin return $1; end';
    create table orders (
        id bigint primary key,
        customer_id int not null,
        status text not null,
        mood mood,
        total numeric,
        is_flagged boolean not null,
        created_at timestamptz not null,
        local_at timestamp not null,
        deleted_at timestamptz,
        email text,
        name text collate "C",
        url text,
        body text,
        tags text[],
        doc jsonb,
        raw json,
        search tsvector,
        during tstzrange,
        place point,
        address inet,
        reference text,
        total_tax numeric generated always as (total * 0.2) stored
    );
    insert into orders
    select
        g, g % 500, case when g % 20 = 0 then 'open' else 'done' end, 'good', g % 97, g % 50 = 0,
        timestamptz '2026-01-01' + g * interval '1 minute', timestamp '2026-01-01' + g * interval '1 minute',
        case when g % 200 = 0 then timestamptz '2026-02-01' + g * interval '1 minute' end,
        'User' || g || '@example.org', 'name ' || g, 'https://example.org/a/long/path/of/no/interest/' || g,
        case when g <= 300 then (select string_agg(md5(g || '/' || n), '') from generate_series(1, 100) as n) end,
        array['t' || g % 100], jsonb_build_object('kind', g % 100, 'size', g), '{}',
        to_tsvector('simple', 'word' || g % 300),
        tstzrange(
            timestamptz '2026-01-01' + g * interval '1 hour', timestamptz '2026-01-01' + (g + 5) * interval '1 hour'
        ),
        point(g % 100, g / 100), ('10.0.' || g % 250 || '.1')::inet,
        case when g % 10 = 0 then 'ref' || g end
    from generate_series(1, 4000) as g;
    create table item (order_id bigint not null, product_id int not null, quantity int, price numeric, note text);
    insert into item select g / 3, g % 200, g % 10, g, repeat('note', 20) from generate_series(1, 9000) as g;
    create table "We ird"."Odd ""Name" ("Mixed-Case" int, plain int, padding text);
    insert into "We ird"."Odd ""Name" select g, g % 100, repeat('x', 100) from generate_series(1, 3000) as g;
    create schema archive;
    create table archive.orders as select id, customer_id, total, status as note from orders;
    alter table archive.orders enable row level security;
    create table tiny (id int, label text);
    insert into tiny select g, 'x' from generate_series(1, 20) as g;
    create table log (at timestamptz not null, kind text, detail text) partition by range (at);
    create table log_1 partition of log for values from ('2026-01-01') to ('2026-06-01');
    create table log_2 partition of log for values from ('2026-06-01') to ('2027-01-01');
    insert into log select timestamptz '2026-01-01' + g * interval '2 hours', 'k' || g % 50, repeat('d', 100)
    from generate_series(1, 3000) as g;
    create table visit (id bigint primary key, customer_id int, page int, at timestamptz, note text);
    create index visit_customer on visit (customer_id);
    create index visit_page on visit (page, at);
    create unique index visit_at on visit (at, id);
    create index visit_open on visit (customer_id) where page = 3;
    insert into visit select g, g % 300, g % 70, timestamptz '2026-01-01' + g * interval '1 minute', 'note ' || g
    from generate_series(1, 5000) as g;
    create view done_order as select id, customer_id as buyer, lower(email) as mail, total
        from orders where status = 'done';
    create materialized view daily as select date_trunc('day', local_at) as day, g as part, sum(total) as total
        from orders cross join generate_series(1, 600) as g group by 1, 2;
    create foreign data wrapper nothing;
    create server nowhere foreign data wrapper nothing;
    create foreign table far (id int, name text) server nowhere;
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """The captured shop."""

    dsn: str
    session: Session
    catalog: Catalog
    database: str

    def schema(self, *texts: str) -> Schema:
        return schema_of_session(self.session, self.database, relations_of(self.statements(*texts)))

    def proposal(self, *texts: str, options: Options | None = None, schema: Schema | None = None) -> Proposal:
        """What is proposed for statements, each of weight 1."""
        statements = self.statements(*texts)
        known = schema_of_session(self.session, self.database, relations_of(statements)) if schema is None else schema
        return propose(statements, known, options)

    def subjects(self, *texts: str, options: Options | None = None, schema: Schema | None = None) -> list[str]:
        """Candidates for statements as `orders (status)`, without the schema public."""
        proposal = self.proposal(*texts, options=options, schema=schema)
        return [subject(candidate.index) for candidate in proposal.candidates]

    def existing(self) -> dict[str, Existing]:
        return {index.name.removeprefix("public."): index for index in existing_indexes(self.session, self.database)}

    def uses(self, text: str, index: Index) -> bool:
        """PostgreSQL takes the index, and a plan of the statement uses it where scans of the table are dear."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("set local enable_seqscan = off")
            before = _indexes(connection)
            connection.execute(index.create().encode())
            made = _indexes(connection) - before  # with those of partitions
            lines = connection.execute(f"explain (costs off) {text}".encode()).fetchall()
            plan = "\n".join(line for (line,) in lines)
            connection.rollback()
        return any(f" {quote_identifier(name)}" in plan for name in made)

    def takes(self, indexes: Sequence[Index]) -> None:
        """PostgreSQL builds all of them."""
        with psycopg.connect(self.dsn) as connection:
            for index in indexes:
                connection.execute(index.create().encode())
            connection.rollback()

    def refusal(self, index: Index) -> str | None:
        """PostgreSQL's words against an index; null where it takes it."""
        with psycopg.connect(self.dsn) as connection:
            try:
                connection.execute(index.create().encode())
            except psycopg.Error as error:
                return str(error)
            finally:
                connection.rollback()
        return None

    def statements(self, *texts: str) -> list[Statement]:
        weighted = tuple(Weighted(f"s{n}", text, (Query(f"s{n}", text),), 1.0) for n, text in enumerate(texts))
        return statements_of_workload(Workload(weighted), self.catalog)


def subject(index: Index) -> str:
    return index.subject.removeprefix("public.")


@contextmanager
def captured(cluster: Cluster, database: str, folder: Path) -> Iterator[Shop]:
    """A capture of the shop in that database of the cluster, opened."""
    cluster.run(SCHEMA, database=database)
    with psycopg.connect(cluster.dsn(database), autocommit=True) as connection:
        connection.execute("vacuum analyze")
    store = Store(folder)
    store.prepare()
    capture = take_capture(cluster.dsn(database), CaptureOptions(), store)
    with open_session(capture) as session:
        yield Shop(cluster.dsn(database), session, catalog_of_session(session, database), database)


def without(schema: Schema, extension: str) -> Schema:
    return replace(schema, extensions={name: where for name, where in schema.extensions.items() if name != extension})


def _indexes(connection: psycopg.Connection[tuple[str]]) -> set[str]:
    return {name for (name,) in connection.execute("select relname from pg_class where relkind in ('i', 'I')")}
