-- rule: domain-constraint-validated-at-once
-- title: Domain constraint tested on every table that uses the domain
-- severity: error
-- reads: migration_effect
-- actions: add domain constraint, validate domain constraint
-- message: Writes to {relations} wait while every value of {domain} is tested; {cure}.
-- fix: alter domain {domain} add {definition} not valid;
-- since: 0.1
--
-- ## Why it matters
-- `alter domain … add constraint … check` reads every table with a column of the domain, one after the other, and keeps
-- a SHARE lock on each of them to the end: all their writes wait.
--
-- ## What to do
-- Add it NOT VALID, which reads nothing, locks no table, and holds for new values. Validating it takes the same SHARE
-- locks (up to and including 18): do that at a quiet time, in a transaction of its own. A CHECK on each table instead
-- of the domain can be validated beside the writes.
--
-- ## When to leave it
-- When the domain is new, or the tables that use it are small.

with tested as (
    select
        domain.effect,
        domain.step,
        domain.action,
        domain.relation,
        domain.object_name,
        domain.definition,
        domain.is_known,
        count(*) filter (used.is_scan is not false and not used.is_new and not used.is_small) as tables_tested,
        min(used.relation) filter (used.is_scan is not false and not used.is_new and not used.is_small) as first_table
    from migration_effect as domain
    left join migration_effect as used on used.step = domain.step and used.action = 'also lock'
    where
        (domain.action = 'validate domain constraint' or domain.is_validated is not false)
        and domain.action in ('add domain constraint', 'validate domain constraint')
        and not domain.is_new and domain.is_present
    group by all
)

select
    tested.effect,
    tested.relation || coalesce('.' || tested.object_name, '') as subject,
    case
        when tested.tables_tested = 0 then 'the tables that use it'
        when tested.tables_tested = 1 then tested.first_table
        else tested.first_table || ' and ' || tested.tables_tested - 1 || ' more'
    end as relations,
    tested.relation as domain,
    case
        when tested.action = 'add domain constraint'
            then 'add the constraint NOT VALID, and validate it at a quiet time, in a transaction of its own'
        else 'do it at a quiet time, or leave the constraint NOT VALID: it holds for new values'
    end as cure,
    case when tested.action = 'add domain constraint' then tested.definition end as definition,
    case
        when tested.tables_tested > 0 and tested.action = 'add domain constraint' then 'error' else 'warning'
    end as severity
from tested
-- of a domain that nobody made, no migration knows all the tables
where tested.tables_tested > 0 or not tested.is_known;

-- example: a table uses the domain
-- given: migration
create domain percent as int;
create table orders (id bigint, discount percent);
-- next file
alter domain percent add constraint in_range check (value between 0 and 100);
-- finds: public.percent.in_range

-- example: NOT VALID, and validated later
-- given: migration
create domain percent as int;
create table orders (id bigint, discount percent);
-- next file
alter domain percent add constraint in_range check (value between 0 and 100) not valid;
-- finds: nothing

-- example: validated later: that takes the same locks
-- given: migration
create domain percent as int;
create table rates (rate percent);
-- next file
alter domain percent add constraint in_range check (value between 0 and 100) not valid;
-- next file
alter domain percent validate constraint in_range;
-- finds: public.percent.in_range

-- example: no table uses it
-- given: migration
create domain percent as int;
-- next file
alter domain percent add constraint in_range check (value between 0 and 100);
-- finds: nothing

-- example: only a new table does
-- given: migration
create domain percent as int;
-- next file
create table orders (id bigint, discount percent);
alter domain percent add constraint in_range check (value between 0 and 100);
-- finds: nothing

-- example: a domain that nobody made may be used anywhere
-- given: migration
alter domain percent add constraint in_range check (value between 0 and 100);
-- finds: public.percent.in_range
