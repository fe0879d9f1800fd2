-- rule: volatile-default
-- title: Column added with a volatile default
-- severity: error
-- reads: migration_effect
-- actions: add column
-- message: {default} {volatility} for each row, so PostgreSQL {writes} all of {relation} anew while reads and writes
--     wait; add {column} without it, set the default then, and fill old rows in batches.
-- fix: alter table {relation} add column {column_sql} {type};
--     alter table {relation} alter column {column_sql} set default {definition};
--     -- and then, a few thousand rows at a time, each in a transaction of its own:
--     -- update {relation} set {column_sql} = default where {column_sql} is null and …;
-- since: 0.1
--
-- ## Why it matters
-- A constant default costs nothing (11 and later): it is stored once for all old rows. A volatile one (`random()`,
-- `gen_random_uuid()`, `clock_timestamp()`, `nextval()`) has to be computed for every row, so the table and all its
-- indexes are written anew under ACCESS EXCLUSIVE. `now()` and `current_timestamp` are stable, not volatile: one value,
-- no rewrite.
--
-- ## What to do
-- Add the column without a default, set the default in a second statement (it then holds for new rows only), and fill
-- the old rows in batches.
--
-- ## When to leave it
-- When the table is new or small. A function that queryfit does not know is told as a warning: it is harmless if it is
-- declared STABLE or IMMUTABLE.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name as column,
    case
        when regexp_matches(effect.column_name, '^[a-z_][a-z0-9_]*$') then effect.column_name
        else '"' || replace(effect.column_name, '"', '""') || '"'
    end as column_sql,
    effect.type_after as type,
    effect.definition,
    coalesce(effect.definition, 'The default') as default,
    case when effect.is_rewrite then 'has to be computed' else 'may have to be computed' end as volatility,
    case when effect.is_rewrite then 'writes' else 'would write' end as writes,
    case when effect.is_rewrite then 'error' else 'warning' end as severity
from migration_effect as effect
where
    effect.action = 'add column' and effect.is_rewrite is not false
    and effect.new_name is null and effect.is_default
    and coalesce(effect.reason, '') not like '%domain%'
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: a random key
-- given: migration
alter table orders add column token uuid default gen_random_uuid();
-- finds: public.orders (token)

-- example: the clock
-- given: migration
alter table orders add column seen timestamptz not null default clock_timestamp();
-- finds: public.orders (seen)

-- example: now() is one value for all
-- given: migration
alter table orders add column seen timestamptz not null default now();
alter table orders add column day date default current_date;
alter table orders add column by_whom text default current_user;
-- finds: nothing

-- example: a constant
-- given: migration
alter table orders add column state text not null default 'new', add column tags text[] default '{}'::text[];
-- finds: nothing

-- example: a stable part does not help a volatile one
-- given: migration
alter table orders add column due timestamptz default now() + random() * interval '1 day';
-- finds: public.orders (due)

-- example: a sequence
-- given: migration
alter table orders add column number bigint default nextval('order_numbers');
-- finds: public.orders (number)

-- example: a function of an earlier migration is volatile unless it says otherwise
-- given: migration
create function new_token() returns text language sql as 'select md5(random()::text)';
create function no_token() returns text immutable language sql as 'select ''none''';
-- next file
alter table orders add column token text default new_token();
alter table orders add column other text default no_token();
-- finds: public.orders (token)

-- example: a function that nobody knows
-- given: migration
alter table orders add column token text default make_token();
-- finds: public.orders (token)

-- example: the default comes later
-- given: migration
alter table orders add column token uuid;
alter table orders alter column token set default gen_random_uuid();
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigint);
alter table orders add column token uuid default gen_random_uuid();
-- finds: nothing
