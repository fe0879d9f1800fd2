-- rule: extension-dropped
-- title: Extension dropped under running clients
-- severity: warning
-- reads: migration_effect
-- actions: drop extension
-- message: {what_happens}; drop {relation} in a release after the last one that uses it.
-- since: 0.1
--
-- ## Why it matters
-- Without CASCADE the drop is refused while a column, index or view uses the extension. Calls of its functions and
-- operators by running clients are not known to PostgreSQL, and fail. CASCADE takes columns of its types (citext,
-- hstore, geometry) and indexes of its operator classes along.
--
-- ## What to do
-- Look for its functions in the statements that run (`pg_stat_statements`), release code without them, drop it then and
-- without CASCADE.
--
-- ## When to leave it
-- It was never used, or it only serves administration.

select
    effect.effect,
    coalesce(effect.relation, effect.object_name) as subject,
    coalesce(effect.relation, effect.object_name) as relation,
    case when effect.is_cascade then 'error' else 'warning' end as severity,
    case
        when effect.is_cascade
            then 'Every column, index and view that uses the extension is dropped with it, with all values'
        else 'Statements of running clients that use the extension''s functions or operators fail from here on'
    end as what_happens
from migration_effect as effect
where effect.action = 'drop extension'
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and (effect.name_returns is null or effect.is_cascade);

-- example: an extension in use
-- given: migration
drop extension pg_trgm;
-- finds: pg_trgm

-- example: with all that uses it
-- given: migration
drop extension if exists hstore cascade;
-- finds: hstore

-- example: born in the same file
-- given: migration
create extension pgcrypto;
drop extension pgcrypto;
-- finds: nothing

-- example: moved to another version by way of drop and create, in one transaction
-- given: migration, in a transaction
drop extension pg_trgm;
create extension pg_trgm version '1.6';
-- finds: nothing
