-- rule: row-security-without-policy
-- title: Row security switched on without a policy
-- severity: warning
-- reads: migration_effect
-- actions: set row security
-- message: Clients that do not own {relation} see no rows and can write none{when}; create its policies first.
-- fix: create policy {policy} on {relation} using (…);
-- since: 0.1
--
-- ## Why it matters
-- With row security on and no policy everything is denied, silently: queries return nothing instead of failing. The
-- owner, superusers and roles with BYPASSRLS do not notice (the owner not until FORCE ROW LEVEL SECURITY), so it works
-- in development and fails in production.
--
-- ## What to do
-- `create policy` before `enable row level security`: policies of a table without row security do nothing yet. Both in
-- one transaction is as good.
--
-- ## When to leave it
-- The table is meant to be closed to everyone but its owner and roles with BYPASSRLS.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    -- a table that nobody uses yet breaks nobody: it may be meant to stay closed
    case when effect.is_new then 'info' else 'warning' end as severity,
    case when effect.is_new then '' else ' from here on' end as "when",
    regexp_replace(effect.relation, '^.*\.|"', '', 'g') || '_policy' as policy
from migration_effect as effect
where effect.action = 'set row security'
    and effect.definition = 'enable'
    and effect.has_policy = false;

-- example: a table of an earlier migration without any policy
-- given: migration
create table orders (id bigint primary key);
-- next file
alter table orders enable row level security;
-- finds: public.orders

-- example: a new table
-- given: migration
create table orders (id bigint primary key);
alter table orders enable row level security;
-- finds: public.orders

-- example: the policy follows
-- given: migration, in a transaction
create table orders (id bigint primary key, tenant text);
-- next file
alter table orders enable row level security;
create policy own on orders using (tenant = current_user);
-- finds: nothing

-- example: the policy was there
-- given: migration
create table orders (id bigint primary key, tenant text);
create policy own on orders using (tenant = current_user);
-- next file
alter table orders enable row level security;
-- finds: nothing

-- example: a table that nobody made here, and no policy either
-- given: migration
alter table orders enable row level security;
-- finds: public.orders

-- example: a table that nobody made here, with its policy
-- given: migration
create policy own on orders using (tenant = current_user);
alter table orders enable row level security;
-- finds: nothing

-- example: switched off
-- given: migration
create table orders (id bigint primary key);
-- next file
alter table orders disable row level security;
-- finds: nothing

-- example: a function that cannot be seen may make policies
-- given: migration
create table orders (id bigint primary key);
create function add_policies(text) returns void language plpgsql as $$
begin execute format('create policy own on %I using (true)', $1); end $$;
-- next file
alter table orders enable row level security;
select add_policies('orders');
-- finds: nothing
