-- rule: trigger-disabled
-- title: Triggers switched off on a table in use
-- severity: warning
-- reads: migration_effect, migration_step
-- actions: set trigger state
-- message: {what_happens} {where_found}; {what_to_do}.
-- since: 0.1
--
-- ## Why it matters
-- `disable trigger` holds for every session, not only for the migration: rows that the application writes meanwhile
-- miss audit, derived columns and queues. ALL switches off the triggers behind foreign keys too: rows that point
-- nowhere stay, because enabling a trigger checks nothing afterwards.
--
-- ## What to do
-- Disable and enable in one transaction, whose lock keeps other writers out, and name the trigger instead of ALL. Where
-- the role may set it, `set local session_replication_role = replica` holds for one's own transaction only and needs no
-- lock on the table, but leaves foreign keys unchecked as ALL does.
--
-- ## When to leave it
-- The trigger is to stay off until it is dropped.

with state as (
    select
        effect.effect,
        effect.relation,
        lower(coalesce(effect.object_name, 'all')) as trigger,
        effect.definition like 'disable%' as is_off,
        effect.is_new,
        step.transaction,
        step.file
    from migration_effect as effect
    join migration_step as step on step.step = effect.step
    where effect.action = 'set trigger state'
),
judged as (
    select
        state.effect,
        state.relation,
        state.trigger,
        bool_or(later.effect is not null) as is_enabled_again,
        bool_or(later.transaction = state.transaction) as is_enabled_at_once
    from state
    left join state as later
        on later.relation = state.relation
        and later.file = state.file
        and not later.is_off
        and later.effect > state.effect
        and later.trigger in (state.trigger, 'all', 'user')
    where state.is_off and not state.is_new
    group by state.effect, state.relation, state.trigger
)
select
    effect,
    case when trigger in ('all', 'user') then relation else relation || '.' || trigger end as subject,
    case
        when trigger = 'all'
            then 'Neither triggers nor foreign keys work for'
        when trigger = 'user'
            then 'No trigger works for'
        else 'Trigger ' || trigger || ' does not work for'
    end as what_happens,
    'rows that are written to ' || relation || case
        when coalesce(is_enabled_at_once, false) then ' by this transaction'
        when is_enabled_again then ' by anyone until it is enabled again further down'
        else ' by anyone from here on'
    end as where_found,
    case
        when coalesce(is_enabled_at_once, false) then 'name the triggers that are in the way instead of ALL'
        when is_enabled_again then 'put both into one transaction'
        else 'enable it again in the same transaction'
    end as what_to_do
from judged
where trigger = 'all' or not coalesce(is_enabled_at_once, false);

-- example: all of a table
-- given: migration
alter table orders disable trigger all;
-- finds: public.orders

-- example: one, and enabled in a transaction of its own
-- given: migration
alter table orders disable trigger audit;
update orders set total = 0 where total is null;
alter table orders enable trigger audit;
-- finds: public.orders.audit

-- example: enabled again in the same transaction
-- given: migration, in a transaction
alter table orders disable trigger audit;
update orders set total = 0 where total is null;
alter table orders enable trigger audit;
-- finds: nothing

-- example: all user triggers, enabled again in the same transaction
-- given: migration, in a transaction
alter table orders disable trigger user;
update orders set total = 0 where total is null;
alter table orders enable trigger user;
-- finds: nothing

-- example: with foreign keys, what was written stays unchecked
-- given: migration, in a transaction
alter table orders disable trigger all;
insert into orders (id, customer_id) values (1, 2);
alter table orders enable trigger all;
-- finds: public.orders

-- example: a new table
-- given: migration
create table orders (id bigint primary key);
alter table orders disable trigger all;
-- finds: nothing

-- example: enabled only
-- given: migration
alter table orders enable trigger audit;
-- finds: nothing
