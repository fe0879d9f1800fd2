-- rule: type-dropped
-- title: Type dropped under running clients
-- severity: warning
-- reads: migration_effect
-- actions: drop type
-- message: {what_happens}; drop the type {relation} in a release after the last one that uses it.
-- since: 0.1
--
-- ## Why it matters
-- Without CASCADE the drop is refused while a column uses the type, but casts, bound parameters and function bodies of
-- running clients name it too, and fail. With CASCADE it takes the columns of that type along, with their values.
--
-- ## What to do
-- Change the columns first, release code that does not name the type, drop it after that and without CASCADE.
--
-- ## When to leave it
-- No running code names the type: it was only used by columns that are changed or gone by now.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    case when effect.is_cascade then 'error' else 'warning' end as severity,
    case
        when effect.is_cascade then 'Every column of the type is dropped with it, and its values are gone for good'
        else 'Casts and parameters of running clients that name the type fail from here on'
    end as what_happens
from migration_effect as effect
where effect.action = 'drop type'
    and effect.is_present
    and not effect.is_new
    and not effect.is_object_new
    -- CASCADE loses columns, whatever becomes of the name
    and (effect.is_cascade or (not effect.is_name_new and coalesce(effect.name_returns, 'file') = 'file'));

-- example: an enum in use
-- given: migration
drop type order_status;
-- finds: public.order_status

-- example: a domain of an earlier migration
-- given: migration
create domain email as text check (value like '%@%');
-- next file
drop domain email;
-- finds: public.email

-- example: with CASCADE columns go along, also where the type comes back
-- given: migration, in a transaction
drop type order_status cascade;
create type order_status as enum ('open');
-- finds: public.order_status

-- example: exchanged in one transaction
-- given: migration, in a transaction
alter type order_status rename to order_status_old;
create type order_status as enum ('open', 'paid');
alter table orders alter column status type order_status using status::text::order_status;
drop type order_status_old;
-- finds: nothing

-- example: born in the same file
-- given: migration
create type order_status as enum ('open', 'paid');
drop type order_status;
-- finds: nothing

-- example: it is gone already
-- given: migration
create type order_status as enum ('open', 'paid');
-- next file
drop type order_status;
-- next file
drop type if exists order_status;
-- finds: nothing
