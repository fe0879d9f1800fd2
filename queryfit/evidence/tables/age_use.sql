-- How fast each database uses up transaction ids and multixacts since it was last frozen, where a history was read.
-- source: database, trend
-- capture: derived
create table age_use (
    database varchar not null,                  -- database
    xids_per_day double,                        -- growth of age(datfrozenxid) a day; null where no history was read or the age does not grow
    xids_per_day_high double,                   -- it may be as many as this (90 % interval)
    multixacts_per_day double,                  -- growth of mxid_age(datminmxid) a day; likewise
    multixacts_per_day_high double              -- or as many as this
);

insert into age_use
select
    database.database,
    max(case when trend.kind = 'xid_age' and trend.per_day > 0 then trend.per_day end),
    max(case when trend.kind = 'xid_age' and trend.per_day > 0 then trend.per_day_high end),
    max(case when trend.kind = 'multixact_age' and trend.per_day > 0 then trend.per_day end),
    max(case when trend.kind = 'multixact_age' and trend.per_day > 0 then trend.per_day_high end)
from database
left join trend on trend.database = database.database and trend.kind in ('xid_age', 'multixact_age')
group by database.database;
