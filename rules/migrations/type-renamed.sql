-- rule: type-renamed
-- title: Type renamed under running clients
-- severity: warning
-- reads: migration_effect
-- actions: rename type
-- message: Casts and parameters of running clients that name the type {relation} fail from here on; keep the old name
--     until no client uses it.
-- since: 0.1
--
-- ## Why it matters
-- Columns follow the rename of a type, clients do not: `'open'::order_status`, arrays and composite values bound by the
-- type's name, drivers that look types up by name and cache them, and function bodies fail with "type does not exist".
--
-- ## What to do
-- Leave the old type's name, or rename in the release after the last client that uses it. To exchange an enum, rename
-- the old one and create the new one under the old name in one transaction.
--
-- ## When to leave it
-- No client casts to the type or looks it up by name.

select effect.effect, effect.relation as subject, effect.relation, effect.new_name
from migration_effect as effect
where effect.action = 'rename type'
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and coalesce(effect.name_returns, 'file') = 'file';

-- example: an enum in use
-- given: migration
alter type order_status rename to status;
-- finds: public.order_status

-- example: a domain of an earlier migration
-- given: migration
create domain email as text check (value like '%@%');
-- next file
alter domain email rename to address;
-- finds: public.email

-- example: an enum is exchanged in one transaction: the name stays
-- given: migration, in a transaction
alter type order_status rename to order_status_old;
create type order_status as enum ('open', 'paid');
alter table orders alter column status type order_status using status::text::order_status;
drop type order_status_old;
-- finds: nothing

-- example: the type is born in the same file
-- given: migration
create type order_status as enum ('open', 'paid');
alter type order_status rename to status;
-- finds: nothing
