-- rule: transaction-wraparound
-- title: Transaction ids near wraparound
-- severity: warning
-- reads: database, relation, setting, age_use
-- message: The oldest transaction id of database {subject} is {age_xids} transactions old ({used_share} of what the
--     server survives); the oldest table is {oldest}{forecast}. At the end it refuses every write: vacuum it, and find what
--     stops autovacuum.
-- fix: vacuum (freeze, verbose) {oldest_relation};
-- param: min_factor = 1.5 -- past 1.5 of autovacuum_freeze_max_age the forced vacuum is not getting done
-- param: min_age_xids = 500000000 -- younger is a matter of tuning, not of danger
-- param: always_age_xids = 1200000000 -- whatever the settings say
-- param: error_age_xids = 1600000000 -- here PostgreSQL itself drops all vacuum limits (vacuum_failsafe_age)
-- param: limit_xids = 2144483648 -- 2^31 less the three million ids that are kept for the rescue
-- param: warning_days = 30 -- a freeze of the largest tables takes days; only past the age at which it is forced
-- since: 0.1
--
-- ## Why it matters
-- Transaction ids are 32 bits. Rows have to be frozen by vacuum before their id comes round again; when one table is
-- two billion transactions behind, the server stops taking writes in the whole database, to save the data.
--
-- ## What to do
-- Find what kept vacuum away: an old transaction, a prepared transaction, a replication slot, autovacuum switched off
-- or too slow. Then `vacuum (freeze)` the oldest tables first.
--
-- ## When to leave it
-- A freeze is running and the age falls.

with oldest as (
    select
        database,
        relation,
        age_xids,
        row_number() over (partition by database order by age_xids desc, relation) as rank
    from relation
    where age_xids is not null and kind in ('table', 'materialized_view')
),
forced as (
    select max(coalesce(value_number, try_cast(value as double))) as freeze_max_age
    from setting
    where name = 'autovacuum_freeze_max_age'
)

select
    db.database,
    db.database as subject,
    case when db.age_xids >= $error_age_xids then 'error' else 'warning' end as severity,
    1 - db.age_xids / $limit_xids as headroom_fraction,
    db.age_xids,
    db.age_xids / $limit_xids as used_share,
    forced.freeze_max_age,
    rate.xids_per_day,
    db.days_left,
    case
        when db.days_left < 36500
            then '; at the present rate, unless a freeze gets done, the end comes in ' || ceil(db.days_left)::bigint || ' days'
        else ''
    end as forecast,
    oldest.relation as oldest_relation,
    oldest.age_xids as oldest_age_xids,
    coalesce(oldest.relation, 'not known, because that database was not read') as oldest
from (
    select
        database.*,
        greatest($limit_xids - age_xids, 0) / nullif(age_use.xids_per_day, 0) as days_left
    from database
    left join age_use on age_use.database = database.database
) as db
left join age_use as rate on rate.database = db.database
cross join forced
left join oldest on oldest.database = db.database and oldest.rank = 1
where db.age_xids >= $always_age_xids
    or (db.age_xids >= $min_age_xids and db.age_xids >= $min_factor * coalesce(forced.freeze_max_age, 200000000))
    or (db.days_left <= $warning_days and db.age_xids >= $min_factor * coalesce(forced.freeze_max_age, 200000000));

-- example: the forced vacuum should have come long ago
-- given: evidence
insert into setting (name, value_number) values ('autovacuum_freeze_max_age', 200000000);
insert into database (database, age_xids) values ('app', 700000000), ('other', 1700000000);
insert into relation (relation, kind, age_xids) values ('public.a', 'table', 700000000), ('public.b', 'table', 900);
-- finds: app
-- finds: other

-- example: past the forced vacuum, and a history in which the rest lasts nine days
-- given: evidence
insert into setting (name, value_number) values ('autovacuum_freeze_max_age', 200000000);
insert into database (database, age_xids) values ('app', 310000000);
insert into trend (kind, subject, per_day) values ('xid_age', 'app', 200000000);
-- finds: app

-- example: as fast, but the freeze is not due yet
-- given: evidence
insert into setting (name, value_number) values ('autovacuum_freeze_max_age', 200000000);
insert into database (database, age_xids) values ('app', 190000000);
insert into trend (kind, subject, per_day) values ('xid_age', 'app', 200000000);
-- finds: nothing

-- example: the forced vacuum is due, or the limit was raised with care
-- given: evidence
insert into setting (name, value_number) values ('autovacuum_freeze_max_age', 200000000);
insert into database (database, age_xids) values ('app', 299000000);
-- finds: nothing

-- example: a server that freezes at 800 million by its settings
-- given: evidence
insert into setting (name, value_number) values ('autovacuum_freeze_max_age', 800000000);
insert into database (database, age_xids) values ('app', 900000000);
-- finds: nothing
