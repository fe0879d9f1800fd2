-- rule: constraint-not-enforced
-- title: Constraint that PostgreSQL does not enforce
-- severity: info
-- reads: migration_effect
-- actions: add check, add foreign key, alter constraint
-- message: {constraint_name} of {relation} only documents a wish: rows that break it are stored; enforce it when the
--     data allows it.
-- since: 0.1
--
-- ## Why it matters
-- `not enforced` (PostgreSQL 18) adds a CHECK or foreign key without looking at any row, now or ever. Readers of the
-- schema and tools that read the catalog take it for true.
--
-- ## What to do
-- Add it `not valid` instead (new rows are checked) and validate it later. A foreign key can be switched with `alter
-- table … alter constraint … enforced`, which reads the table.
--
-- ## When to leave it
-- The data comes from a source that guarantees it, and checking it twice costs too much.

select
    effect.effect,
    coalesce(effect.relation || '.' || effect.object_name, effect.relation) as subject,
    effect.relation,
    effect.object_name as constraint_name
from migration_effect as effect
where effect.action in ('add check', 'add foreign key', 'alter constraint')
    and lower(effect.definition) like '%not enforced%';

-- example: a foreign key
-- given: migration
alter table orders add constraint orders_customer foreign key (customer_id) references customers not enforced;
-- finds: public.orders.orders_customer

-- example: a check
-- given: migration
alter table orders add constraint positive check (total > 0) not enforced;
-- finds: public.orders.positive

-- example: not valid still checks new rows
-- given: migration
alter table orders add constraint positive check (total > 0) not valid;
-- finds: nothing

-- example: enforced, as is the default
-- given: migration
create table orders (id bigint primary key, total numeric, constraint positive check (total > 0));
alter table orders add constraint small check (total < 1000) enforced;
-- finds: nothing
