-- rule: column-type-rewrites-table
-- title: Type change that writes the table anew
-- severity: error
-- reads: migration_effect
-- actions: alter column type
-- message: {change} writes all of {relation} and its indexes anew while reads and writes wait{because}; add a column of
--     the new type, fill it in batches, and switch over.
-- since: 0.1
--
-- ## Why it matters
-- Under ACCESS EXCLUSIVE every row is converted and written to a new file, and then all indexes are built: nobody reads
-- or writes the table meanwhile, and it needs its size once more on disk.
--
-- ## What to do
-- Add a column of the new type, keep it equal by a trigger, fill the old rows in batches, build its indexes
-- concurrently, and swap the names in a short transaction.
--
-- Some changes need no rewrite: `varchar(n)` to a larger n or to `text`, `numeric(p,s)` to a larger p with the same s,
-- `timestamp(p)` to a larger p, `timestamp` to `timestamptz` while the session's time zone is UTC (12 and later),
-- `cidr` to `inet`. `int` to `bigint` always does, and so does a change to a domain with constraints, or any USING that
-- computes: instead of `using seen at time zone 'UTC'`, `set timezone = 'UTC'` and leave USING out.
--
-- ## When to leave it
-- When the table is new or small.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    'Changing ' || effect.column_name || coalesce(' from ' || effect.type_before, '')
    || coalesce(' to ' || effect.type_after, '') as change,
    coalesce(' (' || effect.reason || ')', '') as because
from migration_effect as effect
where
    effect.action = 'alter column type' and effect.is_rewrite
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: int to bigint
-- given: migration
create table orders (id int primary key, customer_id int);
-- next file
alter table orders alter column id type bigint;
-- finds: public.orders (id)

-- example: wider varchar, and text
-- given: migration
create table orders (code varchar(20), state varchar(10), name char(10));
-- next file
alter table orders alter column code type varchar(50), alter column state type text;
-- finds: nothing

-- example: narrower varchar
-- given: migration
create table orders (code varchar(50));
-- next file
alter table orders alter column code type varchar(20);
-- finds: public.orders (code)

-- example: char is padded
-- given: migration
create table orders (code char(10));
-- next file
alter table orders alter column code type text;
-- finds: public.orders (code)

-- example: more digits before the point, and more behind it
-- given: migration
create table orders (net numeric(10,2), gross numeric(10,2));
-- next file
alter table orders alter column net type numeric(14,2), alter column gross type numeric(14,4);
-- finds: public.orders (gross)

-- example: with an expression
-- given: migration
create table orders (code text);
-- next file
alter table orders alter column code type text using lower(code);
-- finds: public.orders (code)

-- example: the type that it has
-- given: migration
create table orders (code text);
-- next file
alter table orders alter column code type text;
-- finds: nothing

-- example: to a domain with a constraint, or one without
-- given: migration
create domain percent as int check (value between 0 and 100);
create domain amount as int;
create table orders (discount int, items int);
-- next file
alter table orders alter column discount type percent, alter column items type amount;
-- finds: public.orders (discount)

-- example: a partitioned table, whose partitions are written anew
-- given: migration
create table events (day date, kind int) partition by range (day);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
alter table events alter column kind type bigint;
-- finds: public.events (kind)

-- example: one that has no partitions yet
-- given: migration
create table events (day date, kind int) partition by range (day);
-- next file
alter table events alter column kind type bigint;
-- finds: nothing

-- example: a column that is not known is another rule's
-- given: migration
alter table orders alter column id type bigint;
-- finds: nothing

-- example: a new table
-- given: migration
create table orders (id int);
alter table orders alter column id type bigint;
-- finds: nothing
