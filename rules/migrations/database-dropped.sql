-- rule: database-dropped
-- title: Database dropped
-- severity: error
-- reads: migration_effect
-- actions: drop database
-- message: Everything in the database {relation} is gone for good; take this out of the migrations.
-- since: 0.1
--
-- ## Why it matters
-- No transaction protects it and nothing but a backup brings it back. `with (force)` even ends the sessions that are in
-- it. A migration runs wherever it is pointed at.
--
-- ## What to do
-- Keep it out of migrations: databases are dropped by hand, by a person who has looked at the host name, after a backup
-- was tried.
--
-- ## When to leave it
-- The script only ever sets up a throw-away test database.

select effect.effect, coalesce(effect.relation, effect.object_name) as subject,
    coalesce(effect.relation, effect.object_name) as relation
from migration_effect as effect
where effect.action = 'drop database' and not effect.is_new and not effect.is_object_new;

-- example: a database
-- given: migration
drop database shop;
-- finds: shop

-- example: IF EXISTS, with its sessions
-- given: migration
drop database if exists shop with (force);
-- finds: shop

-- example: one is created
-- given: migration
create database shop;
-- finds: nothing
