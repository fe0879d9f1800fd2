-- rule: function-renamed
-- title: Function renamed under running clients
-- severity: error
-- reads: migration_effect
-- actions: rename function
-- message: Running clients that call {relation} fail from here on; create {new_name} beside it and drop the old one in
--     a later release.
-- since: 0.1
--
-- ## Why it matters
-- Triggers, defaults, views and indexes follow a renamed function, because they hold its number. Calls of clients and
-- calls inside the bodies of other functions hold its name, and fail.
--
-- ## What to do
-- Create the function under its new name, keep the old one as a thin wrapper, and drop it when nobody calls it any more
-- (`pg_stat_user_functions` counts calls under `track_functions = all`).
--
-- ## When to leave it
-- It is only called by triggers, or no running code uses it.

select effect.effect, effect.relation as subject, effect.relation, effect.new_name
from migration_effect as effect
where effect.action = 'rename function'
    and effect.is_present
    and effect.is_breaking -- clients cannot call a trigger's function
    and not effect.is_new
    and not effect.is_name_new
    and coalesce(effect.name_returns, 'file') = 'file';

-- example: a function in use
-- given: migration
alter function order_total(bigint) rename to total_of_order;
-- finds: public.order_total

-- example: the old name stays as a wrapper
-- given: migration, in a transaction
alter function order_total(bigint) rename to total_of_order;
create function order_total(bigint) returns numeric language sql as 'select total_of_order($1)';
-- finds: nothing

-- example: born in the same file
-- given: migration
create function order_total(bigint) returns numeric language sql as 'select 1.0';
alter function order_total(bigint) rename to total_of_order;
-- finds: nothing

-- example: a trigger's function, which no client can call
-- given: migration
create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
-- next file
alter function touch() rename to set_updated_at;
-- finds: nothing
