-- rule: security-definer-without-search-path
-- title: SECURITY DEFINER function without a fixed search_path
-- severity: warning
-- reads: migration_effect
-- actions: create function, replace function, alter object
-- message: {relation} runs with its owner's rights, but finds tables and operators along the caller's search_path: a
--     caller can slip in his own; fix the path.
-- fix: alter function {relation} set search_path = {schema}, pg_temp;
-- since: 0.1
--
-- ## Why it matters
-- Whoever may create objects in any schema of his own search_path, be it pg_temp, can define a table, function or
-- operator of a name that the body uses unqualified: it runs with the rights of the function's owner. It is the classic
-- way to become superuser.
--
-- ## What to do
-- `set search_path = trusted_schema, pg_temp` in the definition (pg_temp last, since it comes first otherwise), or
-- `set search_path = ''` and qualified names throughout. A body in SQL standard form (`begin atomic`, 14 and newer) is
-- bound when it is created and needs none.
--
-- ## When to leave it
-- Only the owner can execute it.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    regexp_extract(effect.relation, '^("(?:[^"]|"")*"|[^.]+)\.', 1) as schema
from migration_effect as effect
where effect.action in ('create function', 'replace function', 'alter object')
    and effect.relation_kind = 'function'
    and effect.definition = 'security definer'
    and not effect.is_validated
    and not exists (
        select 1
        from migration_effect as later
        where later.history = effect.history
            and later.relation = effect.relation
            and later.relation_kind = 'function'
            and (later.is_validated or later.action = 'drop function')
            and later.effect > effect.effect
    );

-- example: a new function
-- given: migration
create function close_order(bigint) returns void language sql security definer as 'delete from orders where id = $1';
-- finds: public.close_order

-- example: a replaced procedure
-- given: migration
create or replace procedure close_day() language plpgsql security definer as $$ begin null; end $$;
-- finds: public.close_day

-- example: with a fixed path
-- given: migration
create function close_order(bigint) returns void language sql security definer set search_path = public, pg_temp
    as 'delete from orders where id = $1';
-- finds: nothing

-- example: with an empty path
-- given: migration
create function close_order(bigint) returns void language sql security definer set search_path = ''
    as 'delete from public.orders where id = $1';
-- finds: nothing

-- example: with the rights of its caller
-- given: migration
create function close_order(bigint) returns void language sql as 'delete from orders where id = $1';
-- finds: nothing

-- example: a body that is bound when it is created
-- given: migration
create function total(numeric) returns numeric language sql security definer begin atomic select $1 * 2; end;
-- finds: nothing

-- example: switched on later
-- given: migration
create function close_day() returns void language sql as 'select 1';
-- next file
alter function close_day() security definer;
-- finds: public.close_day

-- example: the path is fixed afterwards
-- given: migration
create function close_day() returns void language sql security definer as 'select 1';
alter function close_day() set search_path = public, pg_temp;
-- finds: nothing
