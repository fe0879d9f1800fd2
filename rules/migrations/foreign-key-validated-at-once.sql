-- rule: foreign-key-validated-at-once
-- title: Foreign key checked against all rows while both tables are locked
-- severity: error
-- reads: migration_effect, migration_step
-- actions: add foreign key, alter constraint
-- message: Writes to {tables} wait while every row of {relation} is checked; {cure}.
-- repair: not-valid
-- since: 0.1
--
-- ## Why it matters
-- Adding a foreign key takes SHARE ROW EXCLUSIVE on both tables and keeps it while all rows are checked by a join: for
-- that time inserts, updates and deletes wait, on the referenced table too, which is often the busiest of all.
--
-- ## What to do
-- Add it NOT VALID, which is done at once and holds for new rows, and validate it in a transaction of its own: that
-- takes SHARE UPDATE EXCLUSIVE on this table and ROW SHARE on the other, and stops nobody.
--
--     alter table orders add constraint orders_customer_fk foreign key (customer_id) references customers not valid;
--     alter table orders validate constraint orders_customer_fk;
--
-- A partitioned table takes NOT VALID from 18 on. Before, add the key NOT VALID to each partition, validate those, and
-- then add it to the parent, which adopts them without reading the rows again.
--
-- ## When to leave it
-- When the table is new or small. A new column with a foreign key and no default holds only nulls: PostgreSQL knows
-- that and reads nothing.

select
    effect.effect,
    coalesce(effect.relation || ' (' || effect.columns || ')', effect.relation || '.' || effect.object_name) as subject,
    effect.relation,
    effect.relation
    || case
        when effect.other_relation is distinct from effect.relation then coalesce(' and to ' || effect.other_relation, '')
        else ''
    end as tables,
    case
        when effect.action = 'alter constraint'
            then 'drop it, add it anew NOT VALID and validate it in a transaction of its own'
        when effect.is_partitioned and step.server_version < 18
            then 'add it NOT VALID to each partition, validate those, and add it to the parent last'
        else 'add it NOT VALID and validate it in a transaction of its own'
    end as cure
from migration_effect as effect
join migration_step as step on step.step = effect.step
where
    (effect.action = 'add foreign key' or (effect.action = 'alter constraint' and effect.definition = 'enforced'))
    and effect.is_scan
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a foreign key on a table in use
-- given: migration
alter table orders add constraint orders_customer_fk foreign key (customer_id) references customers (id);
-- finds: public.orders (customer_id)

-- example: NOT VALID
-- given: migration
alter table orders add constraint orders_customer_fk foreign key (customer_id) references customers (id) not valid;
-- finds: nothing

-- example: validated later
-- given: migration
alter table orders add constraint orders_customer_fk foreign key (customer_id) references customers (id) not valid;
alter table orders validate constraint orders_customer_fk;
-- finds: nothing

-- example: the table is new, only the referenced one is in use
-- given: migration
create table refunds (id bigint primary key, order_id bigint references orders (id));
alter table refunds add foreign key (order_id) references orders (id);
-- finds: nothing

-- example: the referenced table is new, the rows are checked all the same
-- given: migration
create table regions (id bigint primary key);
alter table orders add foreign key (region_id) references regions (id);
-- finds: public.orders (region_id)

-- example: a new column without default holds only nulls
-- given: migration
alter table orders add column region_id bigint references regions (id);
-- finds: nothing

-- example: a new column with a default does not
-- given: migration
alter table orders add column region_id bigint default 1 references regions (id);
-- finds: public.orders (region_id)

-- example: to the table itself
-- given: migration
alter table parts add foreign key (part_of) references parts (id);
-- finds: public.parts (part_of)

-- example: of several columns
-- given: migration
alter table lines add foreign key (shop_id, order_id) references orders (shop_id, id);
-- finds: public.lines (shop_id, order_id)

-- example: NOT ENFORCED checks nothing
-- given: migration, version 18
alter table orders add foreign key (customer_id) references customers (id) not enforced;
-- finds: nothing

-- example: a partitioned table
-- given: migration, version 16
create table events (id bigint, user_id bigint) partition by hash (id);
create table events_0 partition of events for values with (modulus 1, remainder 0);
-- next file
alter table events add foreign key (user_id) references users (id);
-- finds: public.events (user_id)

-- example: a foreign key that was not enforced is enforced from here on (18)
-- given: migration
create table customers (id bigint primary key);
create table orders (id bigint, customer_id bigint);
alter table orders add constraint orders_customer foreign key (customer_id) references customers not enforced;
-- next file
alter table orders alter constraint orders_customer enforced;
-- finds: public.orders.orders_customer
