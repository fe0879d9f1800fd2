-- rule: column-type-not-known
-- title: Type change that may write the table anew
-- severity: warning
-- reads: migration_effect
-- actions: alter column type
-- message: Changing {column} {change} may write all of {relation} anew while reads and writes wait: that depends on
--     {what}.
-- since: 0.1
--
-- ## Why it matters
-- Whether a type change is done at once or converts every row under ACCESS EXCLUSIVE depends on the type before:
-- `varchar(20)` to `text` costs nothing, `int` to `text` rewrites the table. No migration that queryfit has seen made
-- this column. `timestamp` to `timestamptz` and back is quick only while the session's time zone is UTC.
--
-- ## What to do
-- Lint the whole folder of migrations (`--changed-since` still judges only new files), or give a capture with
-- `--against`. Where it is a rewrite: add a column of the new type, fill it in batches, and switch over.
--
-- ## When to leave it
-- When you know that the change needs no rewrite.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name as column,
    coalesce('from ' || effect.type_before || ' ', '')
    || 'to ' || coalesce(effect.type_after, 'another type') as change,
    case
        when effect.type_before is null
            then 'the type that it has now, which earlier migrations or a capture (--against) would tell'
        when effect.type_before like 'timestamp%' and effect.type_after like 'timestamp%'
            then 'the time zone of the session, which has to be UTC for it to be quick (set timezone = ''UTC'')'
        else coalesce(effect.reason, 'what only the server knows')
    end as what
from migration_effect as effect
where
    effect.action = 'alter column type' and effect.is_rewrite is null
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: nobody made the table
-- given: migration
alter table orders alter column id type bigint;
-- finds: public.orders (id)

-- example: between timestamps the time zone of the session decides
-- given: migration
create table orders (seen timestamp, paid timestamp);
-- next file
alter table orders alter column seen type timestamptz;
set timezone = 'UTC';
alter table orders alter column paid type timestamptz;
-- finds: public.orders (seen)

-- example: an earlier migration did
-- given: migration
create table orders (id int, code varchar(10));
-- next file
alter table orders alter column id type bigint;
alter table orders alter column code type text;
-- finds: nothing

-- example: a column of a table that nobody made, known since it was added
-- given: migration
alter table orders add column code varchar(10);
-- next file
alter table orders alter column code type text;
-- finds: nothing

-- example: a new table
-- given: migration
create table orders as select * from old_orders;
alter table orders alter column id type bigint;
-- finds: nothing
