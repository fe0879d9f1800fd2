-- rule: multixact-wraparound
-- title: Multixact ids near wraparound
-- severity: warning
-- reads: database, relation, setting, age_use
-- message: The oldest multixact of database {subject} is {age_multixacts} multixacts old ({used_share} of what the
--     server survives); the oldest table is {oldest}{forecast}. At the end it refuses row locks and writes: vacuum it.
-- fix: vacuum (freeze, verbose) {oldest_relation};
-- param: min_factor = 1.5 -- past 1.5 of autovacuum_multixact_freeze_max_age the forced vacuum is not getting done
-- param: min_age = 800000000 -- younger is a matter of tuning, not of danger
-- param: error_age = 1600000000 -- here PostgreSQL itself drops all vacuum limits (vacuum_multixact_failsafe_age)
-- param: limit_multixacts = 2144483648 -- 2^31 less what is kept for the rescue
-- param: warning_days = 30 -- a freeze of the largest tables takes days; only past the age at which it is forced
-- since: 0.1
--
-- ## Why it matters
-- A multixact stands for several transactions that lock one row at once: foreign-key checks and `select … for share`
-- make them. They are 32 bits as well, and their members have room for four billion; when either runs out, nobody can
-- lock a shared row.
--
-- ## What to do
-- Freeze the oldest tables, then look at what makes so many: foreign keys to a few hot rows, or savepoints around row
-- locks.
--
-- ## When to leave it
-- A freeze is running and the age falls.

with oldest as (
    select
        database,
        relation,
        age_multixacts,
        row_number() over (partition by database order by age_multixacts desc, relation) as rank
    from relation
    where age_multixacts is not null and kind in ('table', 'materialized_view')
),
forced as (
    select max(coalesce(value_number, try_cast(value as double))) as freeze_max_age
    from setting
    where name = 'autovacuum_multixact_freeze_max_age'
)

select
    db.database,
    db.database as subject,
    case when db.age_multixacts >= $error_age then 'error' else 'warning' end as severity,
    1 - db.age_multixacts / $limit_multixacts as headroom_fraction,
    db.age_multixacts,
    db.age_multixacts / $limit_multixacts as used_share,
    forced.freeze_max_age,
    rate.multixacts_per_day,
    db.days_left,
    case
        when db.days_left < 36500
            then '; at the present rate, unless a freeze gets done, the end comes in ' || ceil(db.days_left)::bigint || ' days'
        else ''
    end as forecast,
    oldest.relation as oldest_relation,
    oldest.age_multixacts as oldest_age_multixacts,
    coalesce(oldest.relation, 'not known, because that database was not read') as oldest
from (
    select
        database.*,
        greatest($limit_multixacts - age_multixacts, 0) / nullif(age_use.multixacts_per_day, 0) as days_left
    from database
    left join age_use on age_use.database = database.database
) as db
left join age_use as rate on rate.database = db.database
cross join forced
left join oldest on oldest.database = db.database and oldest.rank = 1
where db.age_multixacts >= $error_age
    or (
        db.age_multixacts >= $min_age
        and db.age_multixacts >= $min_factor * coalesce(forced.freeze_max_age, 400000000)
    )
    or (
        db.days_left <= $warning_days
        and db.age_multixacts >= $min_factor * coalesce(forced.freeze_max_age, 400000000)
    );

-- example: twice the age at which vacuum is forced
-- given: evidence
insert into setting (name, value_number) values ('autovacuum_multixact_freeze_max_age', 400000000);
insert into database (database, age_multixacts) values ('app', 800000000);
-- finds: app

-- example: past the forced vacuum, and a history in which the rest lasts fifteen days
-- given: evidence
insert into setting (name, value_number) values ('autovacuum_multixact_freeze_max_age', 400000000);
insert into database (database, age_multixacts) values ('app', 610000000);
insert into trend (kind, subject, per_day) values ('multixact_age', 'app', 100000000);
-- finds: app

-- example: the forced vacuum is at work
-- given: evidence
insert into setting (name, value_number) values ('autovacuum_multixact_freeze_max_age', 400000000);
insert into database (database, age_multixacts) values ('app', 500000000);
-- finds: nothing

-- example: multixacts are hardly used
-- given: evidence
insert into database (database, age_multixacts) values ('app', 0);
-- finds: nothing
