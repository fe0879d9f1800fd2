-- rule: enum-value-renamed
-- title: Enum value renamed under running clients
-- severity: error
-- reads: migration_effect
-- actions: rename enum value
-- message: Running clients that write or compare with '{value}' of {relation} fail from here on, and those that read it
--     meet '{new_name}'; add the new value beside the old one instead.
-- fix: alter type {relation} add value if not exists '{escaped}' after '{value_escaped}';
-- since: 0.1
--
-- ## Why it matters
-- The stored rows carry the value's number, so all of them change their text at once. A client of the old release then
-- fails with "invalid input value for enum", or reads a value that it does not know.
--
-- ## What to do
-- Add the new value, let the application read both and write the new one, then update the rows in batches. The old
-- value stays in the type: PostgreSQL has no way to drop one.
--
-- ## When to leave it
-- No running code uses the value.

select
    effect.effect,
    effect.relation || '.' || effect.object_name as subject,
    effect.relation,
    effect.object_name as value,
    effect.new_name,
    replace(effect.new_name, '''', '''''') as escaped,
    replace(effect.object_name, '''', '''''') as value_escaped
from migration_effect as effect
where effect.action = 'rename enum value'
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and effect.name_returns is null;

-- example: a value in use
-- given: migration
alter type order_status rename value 'new' to 'open';
-- finds: public.order_status.new

-- example: of an earlier migration
-- given: migration, in a transaction
create type order_status as enum ('new', 'paid');
-- next file
alter type order_status rename value 'new' to 'open';
-- finds: public.order_status.new

-- example: the type is born in the same file
-- given: migration
create type order_status as enum ('new', 'paid');
alter type order_status rename value 'new' to 'open';
-- finds: nothing

-- example: the value is born in the same file
-- given: migration
alter type order_status add value 'shiped';
alter type order_status rename value 'shiped' to 'shipped';
-- finds: nothing

-- example: a value is added instead
-- given: migration
alter type order_status add value 'open';
-- finds: nothing
