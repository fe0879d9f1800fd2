-- rule: primary-key-over-nullable-column
-- title: Primary key over a column that may hold nulls
-- severity: error
-- reads: migration_effect
-- actions: add primary key
-- message: The index is there, but {columns} {state}: reads and writes of {relation} wait while every row is tested for
--     nulls; make it NOT NULL behind a validated CHECK first.
-- fix: alter table {relation} add constraint {check} check ({condition}) not valid;
--     -- in a transaction of its own:
--     alter table {relation} validate constraint {check};
--     alter table {relation} {set_not_null};
--     alter table {relation} drop constraint {check};
-- since: 0.1
--
-- ## Why it matters
-- `add primary key using index` costs nothing as long as its columns are NOT NULL. Where one is not, PostgreSQL sets it
-- so in the same statement, and reads the whole table under ACCESS EXCLUSIVE to see that no row holds a null.
--
-- ## What to do
-- Prove it beforehand by a CHECK that is added NOT VALID and validated in a transaction of its own: `set not null` and
-- the primary key then read nothing.
--
-- ## When to leave it
-- When the table is small. Where the columns are not known to queryfit it is only told as info; with `--against`, or
-- the migrations that made the table, it knows.

with key as (
    select
        effect.effect,
        effect.relation,
        effect.columns,
        effect.is_scan,
        case
            when regexp_matches(effect.columns, '^[a-z_][a-z0-9_]*$') then effect.columns
            -- of several columns nobody here knows which one is nullable
            when position(',' in effect.columns) = 0 then '"' || replace(effect.columns, '"', '""') || '"'
        end as column
    from migration_effect as effect
    where
        effect.action = 'add primary key' and effect.is_index_build is false and effect.is_scan is not false
        and not effect.is_new and not effect.is_small and effect.is_present
)

select
    key.effect,
    coalesce(key.relation || ' (' || key.columns || ')', key.relation) as subject,
    key.relation,
    coalesce(key.columns, 'its column') as columns,
    case when key.is_scan then 'may hold nulls' else 'is not known to be NOT NULL' end as state,
    case when key.is_scan then 'error' else 'info' end as severity,
    'key_not_null' as "check",
    key.column || ' is not null' as condition,
    'alter column ' || key.column || ' set not null' as set_not_null
from key;

-- example: the column may hold nulls
-- given: migration
create table orders (id bigint, code text);
-- next file
create unique index concurrently orders_pkey on orders (id);
alter table orders add constraint orders_pkey primary key using index orders_pkey;
-- finds: public.orders (id)

-- example: it is NOT NULL
-- given: migration
create table orders (id bigint not null, code text);
-- next file
create unique index concurrently orders_pkey on orders (id);
alter table orders add constraint orders_pkey primary key using index orders_pkey;
-- finds: nothing

-- example: made NOT NULL behind a validated CHECK
-- given: migration
create table orders (id bigint, code text);
-- next file
create unique index concurrently orders_pkey on orders (id);
alter table orders add constraint id_given check (id is not null) not valid;
alter table orders validate constraint id_given;
alter table orders alter column id set not null;
alter table orders add constraint orders_pkey primary key using index orders_pkey;
-- finds: nothing

-- example: a column that is not known
-- given: migration
create unique index concurrently orders_pkey on orders (id);
alter table orders add constraint orders_pkey primary key using index orders_pkey;
-- finds: public.orders (id)

-- example: without an index that is there another rule tells it all
-- given: migration
create table orders (id bigint, code text);
-- next file
alter table orders add primary key (id);
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id bigint, code text);
create unique index orders_pkey on orders (id);
alter table orders add constraint orders_pkey primary key using index orders_pkey;
-- finds: nothing
