-- rule: granted-to-public
-- title: Privileges granted to everyone
-- severity: warning
-- reads: migration_effect
-- actions: grant
-- message: Every role of the database, also those made later, gets {privileges} on {relation}; grant it to a role that
--     needs it.
-- fix: revoke {privileges} on {object} from public;
-- since: 0.1
--
-- ## Why it matters
-- PUBLIC is not a group that one can be taken out of: read-only reporting roles, monitoring and the next tenant have
-- the privilege as well, and revoking it from a single role does nothing. CREATE on a schema that is in search paths
-- lets any role put functions in the way of others (CVE-2018-1058).
--
-- ## What to do
-- Grant to a group role, and grant that role to those who need it.
--
-- ## When to leave it
-- Each role that can connect is trusted with it, as with SELECT on a table of reference data. USAGE of schemas, types
-- and languages, EXECUTE and CONNECT are not reported: everyone has most of them anyway.

with granted as (
    select
        effect.effect,
        effect.relation,
        effect.relation_kind,
        lower(effect.definition) as privileges,
        lower(effect.definition) = 'all' or lower(effect.definition) = 'all privileges' as is_all,
        effect.other_relation
    from migration_effect as effect
    where effect.action = 'grant' and effect.object_name = 'public'
),
judged as (
    select
        granted.*,
        case
            when relation_kind in ('table', 'partitioned table', 'view', 'materialized view', 'foreign table')
                then true
            when relation_kind = 'sequence' then is_all or regexp_matches(privileges, 'update')
            -- of a schema also what is granted on all tables in it, now or later
            when other_relation is not null and regexp_matches(other_relation, 'function|type') then false
            when other_relation is not null or relation_kind in ('schema', 'database')
                then is_all or regexp_matches(privileges, 'create|select|insert|update|delete|truncate|trigger')
            else false
        end as is_fault
    from granted
)
select
    effect,
    coalesce(relation, 'default privileges') as subject,
    coalesce(other_relation || coalesce(' in ' || relation, ''), relation) as relation,
    privileges,
    case
        when other_relation is not null then null
        when relation_kind in ('sequence', 'schema', 'database') then relation_kind || ' ' || relation
        else relation
    end as object
from judged
where is_fault;

-- example: everything on a table
-- given: migration
grant all on orders to public;
-- finds: public.orders

-- example: writing, also on a new table, and reading
-- given: migration
create table votes (id bigint primary key);
grant select, insert on votes to public, reporting;
grant select on countries to public;
-- finds: public.votes
-- finds: public.countries

-- example: CREATE on a schema
-- given: migration
grant create on schema sales to public;
grant all privileges on schema billing to public;
-- finds: sales
-- finds: billing

-- example: to a role
-- given: migration
grant all on orders to app;
-- finds: nothing

-- example: what everyone has anyway, or needs to get at anything
-- given: migration
grant usage on schema sales to public;
grant execute on function order_total(bigint) to public;
grant usage on type order_status to public;
grant connect on database shop to public;
-- finds: nothing

-- example: taken away
-- given: migration
revoke all on orders from public;
revoke create on schema public from public;
-- finds: nothing

-- example: on all tables of a schema, and on those to come
-- given: migration
grant select on all tables in schema sales to public;
alter default privileges in schema billing grant insert on tables to public;
alter default privileges in schema billing grant execute on functions to public;
-- finds: sales
-- finds: billing
