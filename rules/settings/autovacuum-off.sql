-- rule: autovacuum-off
-- title: Autovacuum is switched off
-- severity: error
-- reads: setting, server
-- message: autovacuum is off for the whole server: tables bloat, statistics age, and in the end a forced vacuum comes
--     at the worst hour. Switch it on.
-- fix: {fix_sql}
-- undo: {undo_sql}
-- since: 0.1
--
-- ## Why it matters
-- Nothing else removes dead rows, sets the visibility map that index-only scans need, refreshes statistics and freezes
-- old transaction ids. Off does not even stop it for good: near wraparound it runs all the same, over everything at
-- once.
--
-- ## What to do
-- Switch it on; a reload is enough. If it disturbs, it runs too seldom and has too much to do each time: lower the
-- scale factors of the large tables, and its cost delay.
--
-- ## When to leave it
-- During a bulk load that ends with `vacuum (analyze)`.

select
    null::varchar as database,
    setting.name as subject,
    setting.value,
    setting.source,
    case
        when server.provider = 'self-hosted'
            then 'alter system set autovacuum = on;' || chr(10) || 'select pg_reload_conf();'
        else '-- set autovacuum = on in the parameters of the service'
    end as fix_sql,
    case when server.provider = 'self-hosted' then 'alter system reset autovacuum;' end as undo_sql
from setting
cross join server
where setting.name = 'autovacuum'
    and setting.value = 'off'
    -- nothing vacuums a standby but its primary
    and not server.is_standby;

-- example: off
-- given: evidence
insert into setting (name, value) values ('autovacuum', 'off');
-- finds: autovacuum

-- example: on
-- given: evidence
insert into setting (name, value) values ('autovacuum', 'on');
-- finds: nothing

-- example: off on a standby, which has nothing to vacuum
-- given: evidence
insert into server (is_standby) values (true);
insert into setting (name, value) values ('autovacuum', 'off');
-- finds: nothing
