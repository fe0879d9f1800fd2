-- rule: update-without-where
-- title: UPDATE of every row in one statement
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: update
-- message: Every row of {relation} is written anew and stays locked until the transaction ends: writers wait, the table
--     grows to twice its size; update in batches, each in a transaction of its own.
-- fix: update {relation} set … where id between $1 and $2 and …;
--     -- repeat for the next range of keys, with a commit and a pause in between
-- since: 0.1
--
-- ## Why it matters
-- The statement holds a row lock on everything until it commits, leaves a dead version of every row for VACUUM, touches
-- every index where the update is not HOT, and floods the WAL: standbys and replication fall behind.
--
-- ## What to do
-- Walk along the primary key in ranges of some thousand rows, commit after each, and skip rows that are right already
-- (`where new_column is distinct from …`). Run it outside the schema migration. A new column with a constant is filled
-- for free by `add column … default`.
--
-- ## When to leave it
-- The table has some ten thousand rows at most.

with locked as (
    -- behind such a lock it is worse: backfill-under-lock says so
    select step.transaction, min(effect.step) as since
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where effect.lock_level = 8
        and not effect.is_new
        and effect.is_present
        and effect.relation_kind in ('table', 'partitioned table', 'materialized view')
        and effect.action <> 'drop table'
        and step.transaction is not null
    group by step.transaction
)
select effect.effect, effect.relation as subject, effect.relation
from migration_effect as effect
join migration_step as step on step.step = effect.step
left join locked on locked.transaction = step.transaction and locked.since < effect.step
where effect.action = 'update'
    and locked.since is null
    and not effect.has_where
    and not effect.is_new
    and not effect.is_small
    and effect.relation_kind not in ('view', 'foreign table');

-- example: a table in use
-- given: migration
update orders set status = 'open';
-- finds: public.orders

-- example: a new column of an old table is filled
-- given: migration
create table orders (id bigint primary key, total numeric);
-- next file
alter table orders add column net numeric;
update orders set net = total / 1.2;
-- finds: public.orders

-- example: inside a DO block
-- given: migration
do $$ begin update orders set status = 'open'; end $$;
-- finds: public.orders

-- example: with a WHERE
-- given: migration
update orders set status = 'open' where status is null;
-- finds: nothing

-- example: the table is born in the same file
-- given: migration
create table settings (id bigint primary key, theme text);
insert into settings values (1, 'dark');
update settings set theme = 'light';
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch as select 1 as id;
update batch set id = 2;
-- finds: nothing

-- example: ON CONFLICT DO UPDATE names its rows
-- given: migration
insert into settings (id, theme) values (1, 'dark') on conflict (id) do update set theme = 'dark';
-- finds: nothing

-- example: while a table is locked it is another fault
-- given: migration, in a transaction
alter table orders add column net numeric;
update orders set net = total / 1.2;
-- finds: nothing

-- example: with a WHERE that holds for every row
-- given: migration
update orders set status = 'open' where true;
-- finds: public.orders
