-- rule: new-foreign-key-without-index
-- title: New foreign key without an index on its columns
-- severity: info
-- reads: migration_effect
-- actions: add foreign key
-- message: Each delete in {referenced_relation} will read the whole of {relation} to look for rows that point to it;
--     build an index on ({columns}).
-- fix: create index {concurrently}on {relation} ({quoted});
-- since: 0.1
--
-- ## Why it matters
-- PostgreSQL indexes the referenced key, never the referencing columns. When a referenced row is deleted, or its key
-- changes, a trigger looks for referencing rows: without an index that *leads* with these columns it scans the whole
-- table, once for every deleted row, while the row locks are held. Joins from the referenced side miss the index too.
--
-- ## What to do
-- Build it with the foreign key; on a table in use concurrently, in a file of its own. The columns may stand in any
-- order, and more may follow.
--
-- ## When to leave it
-- Rows of the referenced table are never deleted and their keys never change, as with a small lookup table. The
-- migration itself harms nobody, so this is advice (info); on a live server `foreign-key-without-index` weighs what it
-- costs.

select
    min(effect.effect) as effect,
    effect.relation || ' (' || effect.columns || ')' as subject,
    effect.relation,
    effect.columns,
    case
        when regexp_matches(effect.columns, '^[a-z_][a-z0-9_]*(, [a-z_][a-z0-9_]*)*$')
            and not regexp_matches(
                effect.columns, '(^|, )(user|order|group|table|column|check|default|to|from|end)(,|$)'
            )
            then effect.columns
        else '"' || replace(replace(effect.columns, '"', '""'), ', ', '", "') || '"'
    end as quoted,
    min(effect.other_relation) as referenced_relation,
    case when bool_and(effect.is_new) or bool_or(effect.is_partitioned) then '' else 'concurrently ' end as concurrently
from migration_effect as effect
where effect.action = 'add foreign key'
    and effect.has_index = false
    and not effect.is_small
    and effect.relation not like 'pg\_temp.%' escape '\'
group by effect.relation, effect.columns;

-- example: on a table of an earlier migration
-- given: migration
create table customers (id bigint primary key);
create table orders (id bigint primary key, customer_id bigint);
-- next file
alter table orders add constraint orders_customer foreign key (customer_id) references customers not valid;
-- finds: public.orders (customer_id)

-- example: with a new column
-- given: migration
create table customers (id bigint primary key);
create table orders (id bigint primary key);
-- next file
alter table orders add column customer_id bigint references customers;
-- finds: public.orders (customer_id)

-- example: in a new table
-- given: migration
create table customers (id bigint primary key);
create table orders (id bigint primary key, customer_id bigint references customers);
-- finds: public.orders (customer_id)

-- example: an index follows in the same file
-- given: migration
create table orders (id bigint primary key, customer_id bigint references customers);
create index on orders (customer_id, id);
-- finds: nothing

-- example: an earlier migration made the index
-- given: migration
create table orders (id bigint primary key, customer_id bigint);
create index on orders (customer_id);
-- next file
alter table orders add foreign key (customer_id) references customers not valid;
-- finds: nothing

-- example: the primary key leads with the columns, in another order
-- given: migration
create table lines (
    order_id bigint,
    shop_id bigint,
    line int,
    primary key (shop_id, order_id, line),
    foreign key (order_id, shop_id) references orders (id, shop_id)
);
-- finds: nothing

-- example: an index that only holds rows with a value serves as well
-- given: migration
create table orders (id bigint primary key, customer_id bigint references customers);
create index on orders (customer_id) where customer_id is not null;
-- finds: nothing

-- example: any other partial index does not
-- given: migration
create table orders (id bigint primary key, customer_id bigint references customers, state text);
create index on orders (customer_id) where state = 'open';
-- finds: public.orders (customer_id)

-- example: a table that is not known may have the index
-- given: migration
alter table orders add foreign key (customer_id) references customers not valid;
-- finds: nothing

-- example: a new column cannot have an index yet, whatever the table has
-- given: migration
alter table orders add column customer_id bigint references customers;
-- finds: public.orders (customer_id)

-- example: dropped again, table and all
-- given: migration
create table orders (id bigint primary key, customer_id bigint references customers);
drop table orders;
-- finds: nothing
