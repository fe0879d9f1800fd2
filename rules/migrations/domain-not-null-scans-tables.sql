-- rule: domain-not-null-scans-tables
-- title: SET NOT NULL on a domain reads every table that uses it
-- severity: error
-- reads: migration_effect
-- actions: set domain not null
-- message: Writes to {relations} wait while every value of {domain} is tested for null; add a CHECK that is NOT VALID
--     at first instead.
-- fix: alter domain {domain} add constraint {constraint} check (value is not null) not valid;
--     -- at a quiet time, in a transaction of its own:
--     alter domain {domain} validate constraint {constraint};
-- since: 0.1
--
-- ## Why it matters
-- `alter domain … set not null` reads every table with a column of the domain and keeps a SHARE lock on each of them to
-- the end: all their writes wait. It has no NOT VALID form.
--
-- ## What to do
-- `add constraint … check (value is not null) not valid` reads nothing and locks no table; validating it takes the same
-- SHARE locks, so do that at a quiet time. Or set the columns NOT NULL instead of the domain, each behind a CHECK of
-- its table, which is validated beside the writes.
--
-- ## When to leave it
-- When the domain is new, or the tables that use it are small.

with tested as (
    select
        domain.effect,
        domain.relation,
        domain.is_known,
        count(*) filter (used.is_scan is not false and not used.is_new and not used.is_small) as tables_tested,
        min(used.relation) filter (used.is_scan is not false and not used.is_new and not used.is_small) as first_table
    from migration_effect as domain
    left join migration_effect as used on used.step = domain.step and used.action = 'also lock'
    where domain.action = 'set domain not null' and not domain.is_new and domain.is_present
    group by all
)

select
    tested.effect,
    tested.relation as subject,
    case
        when tested.tables_tested = 0 then 'the tables that use it'
        when tested.tables_tested = 1 then tested.first_table
        else tested.first_table || ' and ' || tested.tables_tested - 1 || ' more'
    end as relations,
    tested.relation as domain,
    'value_not_null' as constraint,
    case when tested.tables_tested = 0 then 'warning' else 'error' end as severity
from tested
where tested.tables_tested > 0 or not tested.is_known;

-- example: two tables use the domain
-- given: migration
create domain percent as int;
create table orders (id bigint, discount percent);
create table offers (id bigint, discount percent);
-- next file
alter domain percent set not null;
-- finds: public.percent

-- example: a CHECK that is not validated yet
-- given: migration
create domain percent as int;
create table orders (id bigint, discount percent);
-- next file
alter domain percent add constraint given check (value is not null) not valid;
-- finds: nothing

-- example: no table uses it
-- given: migration
create domain percent as int;
create table orders (id bigint, discount int);
-- next file
alter domain percent set not null;
-- finds: nothing

-- example: a domain that nobody made
-- given: migration
alter domain percent set not null;
-- finds: public.percent

-- example: dropping it tests nothing
-- given: migration
alter domain percent drop not null;
-- finds: nothing
