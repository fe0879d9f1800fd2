-- rule: backfill-under-lock
-- title: Rows filled or moved while a table is locked
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: update, delete, merge, insert, copy, create table as, create materialized view
-- message: {locked} is locked since line {line_locked} ({lock}), so {waiting} of it wait until {work};
--     commit first, and do it in batches.
-- since: 0.1
--
-- ## Why it matters
-- A schema change keeps its lock to the end of the transaction. An UPDATE, DELETE or INSERT … SELECT behind it in the
-- same transaction can run for minutes, and nobody reads or writes the table meanwhile.
--
-- ## What to do
-- Change the schema in one migration. Fill the rows in another, outside of one large transaction: a few thousand rows
-- at a time, by ranges of the key, each batch committed.
--
-- ## When to leave it
-- When the statement touches few rows by an index. Without WHERE it is an error, with one a warning.

with filled as (
    select effect.effect, effect.step, effect.relation, effect.action, effect.has_where, step.transaction
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where
        step.transaction is not null and effect.is_present
        -- what is moved into an empty table comes from one that is not
        and (not effect.is_small or (effect.action in ('insert', 'copy') and effect.size_bytes is null))
        and effect.relation not like 'pg_catalog.%'  -- a few rows by their key
        and (
            (effect.action in ('update', 'delete', 'merge') and not effect.is_new)
            or (effect.action = 'insert' and effect.definition = 'select')
            or (effect.action = 'copy' and effect.definition = 'from' and not effect.is_new)
            or (
                effect.action in ('create table as', 'create materialized view')
                and coalesce(effect.definition, '') <> 'with no data'
            )
        )
),

-- the first lock of the transaction on a table in use that stops all, and the first that stops writes alone
held as (
    select
        step.transaction,
        effect.lock_level = 8 as is_total,
        min(effect.step) as step,
        arg_min(effect.relation, effect.effect) as relation,
        min(step.line) as line_locked
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where
        (effect.lock_level = 8 or (effect.lock_level >= 5 and effect.relation_kind <> 'materialized view'))
        and not effect.is_new and effect.is_present
        and effect.relation_kind in ('table', 'partitioned table', 'materialized view')
        and effect.action <> 'drop table'
        and step.transaction in (select filled.transaction from filled)
    group by step.transaction, is_total
),

-- the stronger lock of the two
waiting as (
    select filled.*, held.relation as locked, held.line_locked, held.is_total
    from filled
    join held on held.transaction = filled.transaction and held.step < filled.step
    -- where writes alone wait, only what surely takes long matters
    where
        held.is_total
        or filled.action in ('insert', 'create table as')
        or (filled.has_where is false and filled.action in ('update', 'delete'))
    qualify row_number() over (partition by filled.effect order by held.is_total desc) = 1
),

-- one finding a transaction: the worst statement first
told as (
    select
        waiting.effect,
        waiting.relation,
        waiting.action,
        waiting.locked,
        waiting.line_locked,
        waiting.is_total,
        coalesce(waiting.has_where is false and waiting.action in ('update', 'delete'), false) as is_whole,
        count(*) over (partition by waiting.transaction) as statements,
        row_number() over (
            partition by waiting.transaction
            order by
                coalesce(waiting.has_where is false and waiting.action in ('update', 'delete'), false) desc,
                waiting.effect
        ) as place
    from waiting
)

select
    told.effect,
    told.relation as subject,
    told.locked,
    told.line_locked,
    case when told.is_total then 'ACCESS EXCLUSIVE' else 'against writes' end as lock,
    case when told.is_total then 'reads and writes' else 'writes' end as waiting,
    case
        when told.is_whole then 'every row of ' || told.relation || ' is ' || told.action || 'd'
        when told.action = 'update' then 'rows of ' || told.relation || ' are updated'
        when told.action = 'delete' then 'rows of ' || told.relation || ' are deleted'
        when told.action = 'copy' then 'rows are copied into ' || told.relation
        when told.action = 'merge' then 'rows are merged into ' || told.relation
        else told.relation || ' is filled by a query'
    end
    || case
        when told.statements > 2 then ' and ' || told.statements - 1 || ' more such statements are done'
        when told.statements = 2 then ' and one more such statement is done'
        else ''
    end as work,
    case when told.is_whole then 'error' else 'warning' end as severity
from told
where told.place = 1;

-- example: a new column filled in the transaction that adds it
-- given: migration, in a transaction
alter table orders add column state text;
update orders set state = 'old';
-- finds: public.orders

-- example: another table is filled meanwhile
-- given: migration, in a transaction
alter table orders add column state text;
delete from sessions where seen < '2020-01-01';
-- finds: public.sessions

-- example: several statements are one fault, told at the worst
-- given: migration, in a transaction
alter table orders add column state text;
update lines set state = 'old' where state is null;
update orders set state = 'old';
-- finds: public.orders

-- example: each statement alone
-- given: migration
alter table orders add column state text;
update orders set state = 'old';
-- finds: nothing

-- example: a batch is a transaction
-- given: migration, as one batch
alter table orders add column state text;
update orders set state = 'old' where state is null;
-- finds: public.orders

-- example: filled before the lock
-- given: migration, in a transaction
update orders set state = 'old' where state is null;
alter table orders drop column old_state;
-- finds: nothing

-- example: the locked table is new
-- given: migration, in a transaction
create table archive (id bigint);
alter table archive add column state text;
insert into archive select id, 'old' from orders;
-- finds: nothing

-- example: rows moved to a new table after the old one is locked
-- given: migration, in a transaction
create table archive (id bigint);
alter table orders add column archived boolean;
insert into archive select id from orders;
-- finds: public.archive

-- example: a table made of another one's rows
-- given: migration, in a transaction
alter table orders add column archived boolean;
create table archive as select * from orders;
create table empty_one as select * from orders with no data;
-- finds: public.archive

-- example: a few rows by value
-- given: migration, in a transaction
alter table orders add column state text;
insert into state (name) values ('new'), ('old');
insert into state (name) select 'paid' where not exists (select from state where name = 'paid');
-- finds: nothing

-- example: as many rows as a function returns
-- given: migration, in a transaction
alter table orders add column state text;
insert into numbers select generate_series(1, 1000000);
-- finds: public.numbers

-- example: a weaker lock lets reads through
-- given: migration, in a transaction
create trigger orders_touch before update on orders for each row execute function touch();
update orders set state = 'old' where state is null;
-- finds: nothing

-- example: an update of a new table
-- given: migration, in a transaction
alter table orders add column state text;
create table kinds (name text);
update kinds set name = 'x';
-- finds: nothing

-- example: an update of the catalog
-- given: migration, in a transaction
alter table orders add column state text;
update pg_index set indisready = true where indexrelid = 'orders_pkey'::regclass;
-- finds: nothing

-- example: into a table that was emptied
-- given: migration, in a transaction
alter table orders add column state text;
truncate archive;
insert into archive select * from orders;
-- finds: public.archive

-- example: a foreign key of a new table keeps writes of the other one waiting
-- given: migration, in a transaction
create table carts (id bigint primary key, user_id bigint references users (id));
insert into carts select id, id from users;
-- finds: public.carts

-- example: a few rows of a table, while writes of another wait
-- given: migration, in a transaction
create table carts (id bigint primary key, user_id bigint references users (id));
update settings set is_on = true where name = 'carts';
-- finds: nothing
