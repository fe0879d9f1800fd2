-- rule: schema-renamed
-- title: Schema renamed under running clients
-- severity: error
-- reads: migration_effect
-- actions: rename schema
-- message: Every statement of running clients that names schema {relation}, and every search_path with it, misses its
--     objects from here on; rename while no client runs.
-- since: 0.1
--
-- ## Why it matters
-- All objects of the schema change their qualified names at once. A `search_path` that names the old schema does not
-- fail: it silently skips it and finds objects of the same name further down, or none.
--
-- ## What to do
-- Create the new schema, and move objects one by one behind views of the old names; or stop the application for the
-- rename, and change `search_path` of roles and databases (`alter role … set search_path`) in the same transaction.
--
-- ## When to leave it
-- No client uses the schema, as with a schema that a blue-green deployment swaps in by two renames in one transaction.

select effect.effect, effect.relation as subject, effect.relation, effect.new_name
from migration_effect as effect
where effect.action = 'rename schema'
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and coalesce(effect.name_returns, 'file') = 'file';

-- example: a schema in use
-- given: migration
alter schema sales rename to billing;
-- finds: sales

-- example: of an earlier migration
-- given: migration
create schema sales;
-- next file
alter schema sales rename to billing;
-- finds: sales

-- example: born in the same file
-- given: migration
create schema sales;
alter schema sales rename to billing;
-- finds: nothing

-- example: another one is swapped in
-- given: migration, in a transaction
alter schema sales rename to sales_old;
alter schema sales_new rename to sales;
-- finds: nothing
