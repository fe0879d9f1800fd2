-- rule: concurrently-on-partitioned-table
-- title: CONCURRENTLY on a partitioned table
-- severity: error
-- reads: migration_effect
-- actions: create index, drop index
-- message: {relation} is partitioned, and PostgreSQL refuses to {action} concurrently there; {cure}.
-- since: 0.1
--
-- ## Why it matters
-- `create index concurrently` and `drop index concurrently` are refused on a partitioned table and its indexes in every
-- version up to 18, so the migration fails.
--
-- ## What to do
-- Create the index `on only` the parent, build one concurrently on each partition, and attach them; the parent's index
-- becomes valid with the last one:
--
--     create index orders_day on only orders (day);
--     create index concurrently orders_2026_day on orders_2026 (day);
--     alter index orders_day attach partition orders_2026_day;
--
-- Dropping the index of the parent drops those of the partitions with it, under ACCESS EXCLUSIVE but quickly: do it
-- with a short `lock_timeout`, and try again.
--
-- ## When to leave it
-- Never: it does not run. `reindex … concurrently` on a partitioned table is allowed from 14 on and not reported.

select
    effect.effect,
    coalesce(effect.object_name, effect.relation) as subject,
    effect.relation,
    effect.action,
    case
        when effect.action = 'create index'
            then 'create it on only the parent, concurrently on each partition, and attach those'
        else 'drop it plainly, with a short lock_timeout'
    end as cure
from migration_effect as effect
where
    effect.is_concurrent and effect.is_partitioned and effect.is_present
    and effect.action in ('create index', 'drop index');

-- example: an index on the parent
-- given: migration
create table events (day date, kind int) partition by range (day);
-- next file
create index concurrently events_kind on events (kind);
-- finds: public.events_kind

-- example: on only the parent is refused as well
-- given: migration
create table events (day date, kind int) partition by range (day);
-- next file
create index concurrently events_kind on only events (kind);
-- finds: public.events_kind

-- example: also where the table is new
-- given: migration
create table events (day date, kind int) partition by range (day);
create index concurrently events_kind on events (kind);
-- finds: public.events_kind

-- example: a drop of the parent's index
-- given: migration
create table events (day date, kind int) partition by range (day);
create index events_kind on events (kind);
-- next file
drop index concurrently events_kind;
-- finds: public.events_kind

-- example: a partition is a table like any other
-- given: migration
create table events (day date, kind int) partition by range (day);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
-- next file
create index concurrently events_2026_kind on events_2026 (kind);
-- finds: nothing

-- example: a table of which nothing is known
-- given: migration
create index concurrently events_kind on events (kind);
-- finds: nothing

-- example: REINDEX may
-- given: migration
create table events (day date, kind int) partition by range (day);
create index events_kind on events (kind);
-- next file
reindex table concurrently events;
-- finds: nothing
