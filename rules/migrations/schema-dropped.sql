-- rule: schema-dropped
-- title: Schema dropped with all that is in it
-- severity: error
-- reads: migration_effect
-- actions: drop schema
-- message: CASCADE drops every table, view and function in schema {relation} with all rows, for good; drop them by name
--     first, so that the migration says what goes.
-- since: 0.1
--
-- ## Why it matters
-- `drop schema … cascade` takes whatever lies in the schema on the day it runs, also what another migration put there
-- since, and foreign keys, views and columns of other schemas that depend on it. It needs a lock on each table at once.
-- Without CASCADE PostgreSQL refuses to drop a schema that is not empty: then nothing is lost.
--
-- ## What to do
-- Drop the objects by name, in the release after the last that uses them, then the schema without CASCADE.
--
-- ## When to leave it
-- The schema holds only scratch data, such as that of a test or of a tenant that has left.

select effect.effect, effect.relation as subject, effect.relation
from migration_effect as effect
where effect.action = 'drop schema'
    and effect.is_cascade
    and effect.is_present
    and not effect.is_new
    and not effect.is_object_new;

-- example: a schema in use
-- given: migration
drop schema sales cascade;
-- finds: sales

-- example: IF EXISTS, of an earlier migration
-- given: migration
create schema sales;
-- next file
drop schema if exists sales cascade;
-- finds: sales

-- example: without CASCADE only an empty schema goes
-- given: migration
drop schema sales;
-- finds: nothing

-- example: born in the same file
-- given: migration
create schema scratch;
drop schema scratch cascade;
-- finds: nothing

-- example: it is gone already
-- given: migration
create schema sales;
-- next file
drop schema sales;
-- next file
drop schema if exists sales cascade;
-- finds: nothing
