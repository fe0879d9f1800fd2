-- rule: relation-moved-to-schema
-- title: Object moved to another schema under running clients
-- severity: error
-- reads: migration_effect
-- actions: set schema
-- message: Statements of running clients find no {subject} any more once it is in schema {new_name}, unless their
--     search_path has that schema; leave a view of the old name in its place.
-- since: 0.1
--
-- ## Why it matters
-- `set schema` is a rename: qualified names fail, and unqualified ones only work where the `search_path` of every role
-- that connects already holds the new schema. Indexes, constraints and owned sequences move along; functions that name
-- the table do not follow.
--
-- ## What to do
-- First add the new schema to the `search_path` of all clients, or create a view of the old name in the old schema in
-- the same transaction as the move; drop the view in a later release.
--
-- ## When to leave it
-- Every client names it without its schema and already has the new schema in its search_path.

select
    effect.effect,
    effect.relation as subject,
    effect.new_name,
    case
        when effect.relation_kind in ('table', 'partitioned table', 'foreign table', 'view', 'materialized view')
            then 'error'
        else 'warning'
    end as severity
from migration_effect as effect
where effect.action = 'set schema'
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and effect.relation is not null
    and effect.relation_kind <> 'extension'
    and coalesce(effect.name_returns, 'file') = 'file';

-- example: a table in use
-- given: migration
alter table orders set schema sales;
-- finds: public.orders

-- example: of an earlier migration
-- given: migration
create schema sales;
create table orders (id bigint primary key);
-- next file
alter table orders set schema sales;
-- finds: public.orders

-- example: a view of the old name takes its place
-- given: migration, in a transaction
alter table orders set schema sales;
create view orders as select * from sales.orders;
-- finds: nothing

-- example: born in the same file
-- given: migration
create schema sales;
create table orders (id bigint primary key);
alter table orders set schema sales;
-- finds: nothing
