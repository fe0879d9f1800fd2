-- rule: unlogged-table-loses-data
-- title: Unlogged table is empty after a crash
-- severity: warning
-- reads: migration_effect
-- actions: set unlogged, create table, create table as
-- message: {relation} is emptied by every crash of the server, and standbys never have its rows; keep it logged unless
--     its rows can be made again.
-- since: 0.1
--
-- ## Why it matters
-- Changes to an unlogged table are not in the WAL: after a crash or an immediate shutdown PostgreSQL truncates it, a
-- promoted standby starts with it empty, and a base backup does not have its rows.
--
-- ## What to do
-- Leave tables that hold facts logged. To load faster, load before the indexes are built, or create the table unlogged
-- and `set logged` when it is filled.
--
-- ## When to leave it
-- A cache, a queue that can be filled again, or a staging table. A new table is only an info.

select
    effect.effect,
    effect.relation as subject,
    effect.relation,
    case when effect.action = 'set unlogged' and not effect.is_new then 'warning' else 'info' end as severity
from migration_effect as effect
where (
        (effect.action = 'set unlogged' and effect.is_present and effect.is_rewrite is not false)
        or (effect.action in ('create table', 'create table as') and effect.definition = 'unlogged')
    )
    and not exists (
        select 1
        from migration_effect as later
        where later.history = effect.history
            and later.relation = effect.relation
            and later.action in ('set logged', 'drop table')
            and later.effect > effect.effect
    );

-- example: a table in use
-- given: migration
alter table orders set unlogged;
-- finds: public.orders

-- example: a new table
-- given: migration
create unlogged table hits (id bigint primary key, hits bigint);
-- finds: public.hits

-- example: logged once it is loaded
-- given: migration
create unlogged table hits (id bigint primary key, hits bigint);
insert into hits values (1, 1);
alter table hits set logged;
-- finds: nothing

-- example: a logged and a temporary table
-- given: migration
create table hits (id bigint primary key);
create temporary table batch (id bigint);
-- finds: nothing

-- example: dropped in the same file
-- given: migration
create unlogged table loading (id bigint);
drop table loading;
-- finds: nothing
