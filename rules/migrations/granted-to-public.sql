-- rule: granted-to-public
-- title: Privileges granted to everyone
-- severity: warning
-- reads: migration_effect
-- message: Every role of the database, also those made later, gets {privileges} on {relation}; grant it to a role that needs it.
-- fix: revoke {privileges} on {object} from public;
-- since: 0.1
--
-- ## Why it matters
-- PUBLIC is not a group that one can be taken out of: read-only reporting roles, monitoring and the next tenant have the
-- privilege as well, and revoking it from a single role does nothing. CREATE on a schema that is in search paths lets any
-- role put functions in the way of others (CVE-2018-1058).
--
-- ## What to do
-- Grant to a group role, and grant that role to those who need it.
--
-- ## When to leave it
-- Each role that can connect is trusted with it. USAGE of schemas, types and languages, EXECUTE, and SELECT (reported as
-- info: a public reference table) are common.

with granted as (
    select
        effect.effect,
        effect.relation,
        effect.relation_kind,
        lower(effect.definition) as privileges,
        lower(effect.definition) = 'all' or lower(effect.definition) = 'all privileges' as is_all,
        effect.is_new
    from migration_effect as effect
    where effect.action = 'grant' and effect.object_name = 'public'
),
judged as (
    select
        granted.*,
        case
            when relation_kind in ('table', 'partitioned table', 'view', 'materialized view', 'foreign table')
                then case
                    when is_all or regexp_matches(privileges, 'insert|update|delete|truncate|references|trigger|maintain')
                        then 'warning'
                    when regexp_matches(privileges, 'select') then 'info'
                end
            when relation_kind = 'sequence' and (is_all or regexp_matches(privileges, 'update')) then 'warning'
            when relation_kind in ('schema', 'database', 'tablespace')
                and (is_all or regexp_matches(privileges, 'create|insert|update|delete|truncate|trigger'))
                then 'warning'
        end as severity
    from granted
)
select
    effect,
    relation as subject,
    relation,
    privileges,
    severity,
    case
        when relation_kind in ('sequence', 'schema', 'database', 'tablespace') then relation_kind || ' ' || relation
        else relation
    end as object
from judged
where severity is not null;

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
