-- rule: function-dropped
-- title: Function dropped under running clients
-- severity: error
-- reads: migration_effect
-- actions: drop function
-- message: Running clients that call {relation} fail {how_long}; {what_to_do}.
-- since: 0.1
--
-- ## Why it matters
-- PostgreSQL refuses to drop a function that triggers, defaults, indexes or views use, but it does not know of calls by
-- clients and inside the bodies of other functions: these fail when they run.
--
-- ## What to do
-- Change a function with `create or replace function`. Where its arguments or result change, create the new form beside
-- the old one, or drop and create it in one transaction; drop for good in a later release.
--
-- ## When to leave it
-- Nobody calls it any more (`pg_stat_user_functions` counts calls under `track_functions = all`).

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    case effect.name_returns when 'file' then 'warning' else 'error' end as severity,
    case effect.name_returns
        when 'file' then 'until it is made again further down'
        else 'from here on'
    end as how_long,
    case effect.name_returns
        when 'file' then 'put both statements into one transaction'
        else 'drop it in a release after the last one that calls it'
    end as what_to_do
from migration_effect as effect
where effect.action = 'drop function'
    and effect.is_present
    and effect.is_breaking -- clients cannot call a trigger's function
    and not effect.is_new
    and not effect.is_name_new
    and coalesce(effect.name_returns, 'file') = 'file';

-- example: a function in use
-- given: migration
drop function order_total(bigint);
-- finds: public.order_total

-- example: a procedure of an earlier migration
-- given: migration
create procedure close_day() language sql as 'select 1';
-- next file
drop procedure close_day();
-- finds: public.close_day

-- example: made anew with other arguments in the same transaction
-- given: migration, in a transaction
drop function if exists order_total(bigint);
create function order_total(bigint, text) returns numeric language sql as 'select 1.0';
-- finds: nothing

-- example: made anew in a transaction of its own: calls fail in between
-- given: migration
drop function order_total(bigint);
create or replace function order_total(bigint) returns numeric language sql as 'select 1.0';
-- finds: public.order_total

-- example: replaced
-- given: migration
create or replace function order_total(bigint) returns numeric language sql as 'select 1.0';
-- finds: nothing

-- example: born in the same file
-- given: migration
create function pg_temp.fill() returns void language sql as 'select 1';
create function helper() returns void language sql as 'select 1';
drop function helper();
drop function pg_temp.fill();
-- finds: nothing

-- example: a trigger's function, which no client can call
-- given: migration
create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
-- next file
drop function touch() cascade;
-- finds: nothing
