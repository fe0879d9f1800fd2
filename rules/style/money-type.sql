-- rule: money-type
-- title: Column of type money
-- severity: info
-- reads: migration_effect
-- actions: create column, add column
-- message: {column_name} of {relation} is money: it has no currency, and lc_monetary decides what its text means; use
--     numeric.
-- since: 0.1
--
-- ## Why it matters
-- The number of digits and the sign of a `money` value come from the server's `lc_monetary`: a dump restored under
-- another setting reads other amounts, or fails. Division of money by money gives a float.
--
-- ## What to do
-- `numeric(12, 2)`, or bigint in cents, and a column for the currency.
--
-- ## When to leave it
-- One currency, one server, and nothing but sums.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name
from migration_effect as effect
where effect.action in ('create column', 'add column')
    and effect.is_present
    and effect.relation not like 'pg\_temp.%' escape '\'
    and effect.type_after in ('money', 'money[]');

-- example: in a new table
-- given: migration
create table orders (id bigint primary key, total money);
-- finds: public.orders (total)

-- example: a new column
-- given: migration
alter table orders add column total money default 0;
-- finds: public.orders (total)

-- example: numeric, and a column of that name
-- given: migration
create table orders (id bigint primary key, money numeric(12, 2));
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (total money);
-- finds: nothing
