-- The sick shop: the same tables and rows with the faults of faults.toml planted, each as it happens in real life.
-- Runs in autocommit (psql -f): CREATE INDEX CONCURRENTLY and VACUUM allow no transaction around them.

-- Indexes that the pages have. Missing, though pages or foreign keys need them: order_items (order_id),
-- order_items (product_id), payments (captured_at), shipments (order_id), shipments (tracking_code),
-- returns (order_id), reviews (created_at), customers (lower(email)).
create index on products (category_id, id);
create index on orders (created_at);
create index on payments (order_id);
create index on reviews (product_id);
create index on sessions (customer_id);
create index on jobs (id) where state = 'queued';

-- overlapping-index: the first answers nothing that the second does not
create index orders_customer_id_idx on orders (customer_id);
create index orders_customer_id_created_at_idx on orders (customer_id, created_at);

-- unused-index: made for a report that is no longer run
create index order_items_quantity_unit_price_idx on order_items (quantity, unit_price);

-- duplicate-index: the unique constraint on the e-mail address has this index already
create index customers_email_idx on customers (email);

-- foreign-key-type-mismatch: the key it refers to is bigint
alter table reviews alter column customer_id type integer;
create index on reviews (customer_id);

-- invalid-index: there are products with several reviews, so this build fails and leaves its half behind
\set ON_ERROR_STOP off
\set VERBOSITY terse
create unique index concurrently reviews_product_id_key on reviews (product_id);
\set ON_ERROR_STOP on

-- no-primary-key: dropped to load a copy, never put back
alter table audit_log drop constraint audit_log_pkey;

-- integer-key-near-end: 95 % of the integers are taken
alter table jobs alter column id type integer;
alter sequence jobs_id_seq as integer;
select setval('jobs_id_seq', 2040000000);

-- sequence-near-end: 94 % of the numbers that fit on an invoice are taken
select setval('invoice_number', 94000000);

-- constraint-not-valid: added in a hurry, never validated
alter table orders drop constraint orders_total_not_negative;
alter table orders add constraint orders_total_not_negative check (total >= 0) not valid;

-- hot-updates-failing: every sale moves the row in this index too
create index inventory_updated_at_idx on inventory (updated_at);

-- autovacuum-disabled: switched off for an import, never on again
alter table carts set (autovacuum_enabled = false);

-- table-bloat and index-bloat: a million carts were abandoned and purged all over the table; a plain VACUUM gives no
-- pages back between those still in use
insert into carts (id, customer_id, content, updated_at)
select
    1000000 + n,
    2 + n % 59998,
    'item ' || md5(n::text) || md5((n + 1)::text),
    timestamptz '2026-11-01' + n * interval '1 second'
from generate_series(1, 300000) as n;
create index carts_customer_id_idx on carts (customer_id);
delete from carts where id > 1000000 and id % 20 <> 0;

vacuum (analyze) carts;
vacuum (analyze)
    categories, customers, products, inventory, orders, order_items, payments, reviews, returns, sessions, jobs, daily_revenue,
    page_views, audit_log;

-- stale-statistics: nine shipments in ten came after the last ANALYZE
create table shipments_later as select * from shipments where id > 12000;
delete from shipments where id > 12000;
vacuum (analyze) shipments;
insert into shipments select * from shipments_later;
drop table shipments_later;

-- missing-statistics: searches was never analyzed

-- autovacuum-behind: all sessions were renewed and nothing cleaned up after it
update sessions set expires_at = expires_at + interval '1 day';

-- near-role-connection-limit, near-database-connection-limit: limits of the day the shop opened
alter role shop_reports connection limit 5;
alter database shop connection limit 101;

-- inactive-replication-slot: the standby it was made for is gone
select pg_create_physical_replication_slot('old_standby', true);
