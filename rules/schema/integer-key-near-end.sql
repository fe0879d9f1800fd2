-- rule: integer-key-near-end
-- title: Integer key that is running out of numbers
-- severity: warning
-- reads: relation, relation_column, relation_constraint, constraint_column, column_statistics, relation_sequence,
--     relation_total, sequence_use, unread
-- message: {subject} is {type} and has used {used_share} of its numbers (at {reached} of
--     {limit_value_exact}){forecast}: then every insert fails. Change it, and the columns that point to it, to bigint.
-- fix: {fix_sql}
-- param: min_used_share = 0.7 -- the change needs weeks of preparation on a large table
-- param: error_used_share = 0.9 -- from here on it is a race
-- param: early_used_share = 0.25 -- with a known rate a younger key is reported when its end is near
-- param: warning_days = 365 -- a year to plan the change in
-- param: error_days = 60 -- a migration of this kind takes that long
-- param: min_rows = 1000000 -- only a large table is worth a word when it cannot be judged
-- since: 0.1
--
-- ## Why it matters
-- At 2,147,483,647 (smallint: 32,767) the next insert fails with "integer out of range", and so does every one after
-- it. The table is down until its key is wider, and widening rewrites the table and its indexes under an ACCESS
-- EXCLUSIVE lock.
--
-- ## What to do
-- A small table: `alter column … type bigint` now. A large one: add a bigint column, keep it in step by a trigger,
-- backfill in batches, build a unique index concurrently, and swap the columns in one short transaction. Columns that
-- refer to the key and the code of clients have to be wide enough first.
--
-- ## When to leave it
-- The table stopped growing. As first aid a sequence may go on with the negative half of the numbers.

with key_column as (
    select distinct con.database, con.relation, part.column_name
    from relation_constraint as con
    join constraint_column as part
        on part.database = con.database and part.relation = con.relation and part.constraint_name = con.constraint_name
    where not con.is_inherited
        and (
            con.kind in ('primary_key', 'unique')
            -- the referenced key has room, this column has not
            or (con.kind = 'foreign_key' and part.base_type in ('int2', 'int4') and part.referenced_base_type = 'int8')
        )
    union
    select database, relation, column_name from relation_sequence where relation is not null
),
narrow as (
    select
        col.database,
        col.relation,
        col.column_name,
        col.type,
        case col.base_type when 'int2' then 32767 else 2147483647 end as limit_value,
        case when regexp_matches(col.column_name, '^[a-z_][a-z0-9_]*$') then col.column_name
            else '"' || replace(col.column_name, '"', '""') || '"' end as column_sql
    from key_column
    join relation_column as col
        on col.database = key_column.database
        and col.relation = key_column.relation
        and col.column_name = key_column.column_name
    join relation as rel on rel.database = col.database and rel.relation = col.relation
    where col.base_type in ('int2', 'int4')
        and rel.kind in ('table', 'partitioned_table')
        -- the root stands for its partitions
        and not rel.is_partition
        and rel.extension is null
),
statistic as (
    select database, relation, column_name, max(greatest_value) as greatest_value
    from column_statistics
    group by database, relation, column_name
),
feeding as (
    select
        seq.database,
        seq.relation,
        seq.column_name,
        max(case when seq.increment > 0 then seq.last_value end) as last_value,
        min(seq.sequence) as sequence,
        min(seq.type) as sequence_type,
        -- a key that no sequence feeds need not grow with the rows
        max(case when seq.increment > 0 then rate.used_per_day end) as used_per_day,
        max(case when seq.increment > 0 then rate.used_per_day_low end) as used_per_day_low,
        max(case when seq.increment > 0 then rate.used_per_day_high end) as used_per_day_high,
        bool_or(rate.is_seen) as is_seen
    from relation_sequence as seq
    left join sequence_use as rate on rate.database = seq.database and rate.sequence = seq.sequence
    where seq.relation is not null and not seq.is_cycling
    group by seq.database, seq.relation, seq.column_name
),
blind as (
    select database, subject, min(reason) as reason, min(hint) as hint
    from unread
    where table_name = 'column_statistics'
    group by database, subject
),
known as (
    select
        narrow.*,
        greatest(statistic.greatest_value, feeding.last_value) as greatest_value,
        feeding.sequence,
        feeding.sequence_type,
        total.tuple_rows as table_rows,
        total.size_bytes,
        feeding.used_per_day,
        feeding.used_per_day_low,
        feeding.used_per_day_high,
        feeding.is_seen,
        coalesce(one.reason, every.reason) as unread_reason,
        coalesce(one.hint, every.hint) as unread_hint
    from narrow
    join relation_total as total on total.database = narrow.database and total.relation = narrow.relation
    left join statistic
        on statistic.database = narrow.database
        and statistic.relation = narrow.relation
        and statistic.column_name = narrow.column_name
    left join feeding
        on feeding.database = narrow.database
        and feeding.relation = narrow.relation
        and feeding.column_name = narrow.column_name
    left join blind as one on one.database = narrow.database and one.subject = narrow.relation
    left join blind as every on every.database = narrow.database and every.subject is null
),
judged as (
    select
        *,
        greatest_value / limit_value as used_share,
        (limit_value - greatest_value) / nullif(used_per_day, 0) as days_left,
        (limit_value - greatest_value) / nullif(used_per_day_high, 0) as days_left_low,
        (limit_value - greatest_value) / nullif(used_per_day_low, 0) as days_left_high
    from known
)

select
    database,
    relation || ' (' || column_name || ')' as subject,
    relation || ' (' || column_name || ')' as root,
    case when used_share >= $error_used_share or days_left <= $error_days then 'error' else 'warning' end as severity,
    case when days_left < 36500 then days_left end as days_left,
    case when days_left < 36500 then days_left_low end as days_left_low,
    case when days_left < 36500 then days_left_high end as days_left_high,
    -- without a rate the room that is left decides how urgent it is
    case when days_left is null then 1 - used_share end as headroom_fraction,
    relation,
    column_name,
    type,
    greatest_value,
    limit_value,
    greatest_value::bigint::varchar as reached,
    limit_value::varchar as limit_value_exact,
    used_share,
    used_per_day,
    is_seen,
    sequence,
    table_rows,
    size_bytes,
    case
        when days_left is null then ''
        when days_left < 36500
            then ', and reaches the end in about ' || round(days_left)::bigint || ' days'
            || coalesce(', ' || floor(days_left_low)::bigint || ' to ' || ceil(days_left_high)::bigint || ',', '')
            || ' at the present rate'
        else ', and is hardly growing'
    end as forecast,
    'alter table ' || relation || ' alter column ' || column_sql || ' type bigint;'
        || case
            when sequence_type in ('integer', 'smallint')
                then chr(10) || 'alter sequence ' || sequence || ' as bigint;'
            else ''
        end as fix_sql,
    null::varchar as not_checked_reason,
    null::varchar as hint
from judged
where used_share >= $min_used_share
    or (used_share >= $early_used_share and days_left <= $warning_days)
    -- the numbers were seen to run: even at the slowest pace it is near
    or (is_seen and days_left_high <= $warning_days)

union all

select
    database,
    relation || ' (' || column_name || ')',
    null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
    null, null,
    'the greatest value of the key is not known: ' || unread_reason,
    unread_hint
from judged
where greatest_value is null
    and unread_reason is not null
    and table_rows >= $min_rows;

-- example: 94 % of the numbers are gone
-- given: evidence
insert into relation (relation, root, kind) values ('public.events', 'public.events', 'table');
insert into relation_column (relation, column_name, base_type, type) values ('public.events', 'id', 'int4', 'integer');
insert into relation_constraint (relation, constraint_name, kind) values ('public.events', 'pk', 'primary_key');
insert into constraint_column (relation, constraint_name, column_name) values ('public.events', 'pk', 'id');
insert into column_statistics (relation, column_name, greatest_value) values ('public.events', 'id', 2018634629);
-- finds: public.events (id)

-- example: 40 % are gone, and at this rate the rest lasts five months
-- given: evidence
insert into database (database) values ('app');
insert into relation (relation, root, kind) values ('public.events', 'public.events', 'table');
insert into relation_counter (relation, inserted_rows) values ('public.events', 58800000);
insert into relation_column (relation, column_name, base_type, type) values ('public.events', 'id', 'int4', 'integer');
insert into relation_sequence (sequence, type, last_value, increment, relation, column_name) values
    ('public.events_id_seq', 'integer', 859000000, 1, 'public.events', 'id');
-- finds: public.events (id)

-- example: 69 %, at a rate that leaves it 20 years
-- given: evidence
insert into database (database) values ('app');
insert into relation (relation, root, kind) values ('public.events', 'public.events', 'table');
insert into relation_counter (relation, inserted_rows) values ('public.events', 630000);
insert into relation_column (relation, column_name, base_type, type) values ('public.events', 'id', 'int4', 'integer');
insert into relation_sequence (sequence, type, last_value, increment, relation, column_name) values
    ('public.events_id_seq', 'integer', 1481000000, 1, 'public.events', 'id');
-- finds: nothing

-- example: large values in an integer that is no key, in a bigint key, and in a partition
-- given: evidence
insert into relation (relation, root, kind, is_partition) values
    ('public.events', 'public.events', 'table', false), ('public.log_1', 'public.log', 'table', true);
insert into relation_column (relation, column_name, base_type) values
    ('public.events', 'id', 'int8'), ('public.events', 'amount', 'int4'), ('public.log_1', 'id', 'int4');
insert into relation_constraint (relation, constraint_name, kind, is_inherited) values
    ('public.events', 'pk', 'primary_key', false), ('public.log_1', 'pk', 'primary_key', true);
insert into constraint_column (relation, constraint_name, column_name) values
    ('public.events', 'pk', 'id'), ('public.log_1', 'pk', 'id');
insert into column_statistics (relation, column_name, greatest_value) values
    ('public.events', 'id', 2018634629), ('public.events', 'amount', 2018634629), ('public.log_1', 'id', 2018634629);
-- finds: nothing

-- example: 2 % are gone, and a history saw eight million a day go
-- given: evidence
insert into relation (relation, root, kind) values ('public.events', 'public.events', 'table');
insert into relation_column (relation, column_name, base_type, type) values ('public.events', 'id', 'int4', 'integer');
insert into relation_sequence (sequence, type, last_value, increment, relation, column_name) values
    ('public.events_id_seq', 'integer', 48000000, 1, 'public.events', 'id');
insert into trend (kind, subject, per_day, per_day_low, per_day_high) values
    ('sequence', 'public.events_id_seq', 8000000, 7000000, 9000000);
-- finds: public.events (id)

-- example: the statistics of a large table are hidden
-- given: evidence
insert into relation (relation, root, kind, tuple_rows) values ('public.events', 'public.events', 'table', 90000000);
insert into relation_column (relation, column_name, base_type) values ('public.events', 'id', 'int4');
insert into relation_constraint (relation, constraint_name, kind) values ('public.events', 'pk', 'primary_key');
insert into constraint_column (relation, constraint_name, column_name) values ('public.events', 'pk', 'id');
insert into unread (table_name, database, subject, reason) values
    ('column_statistics', 'app', 'public.events', 'the role may not read it, so pg_stats hides its rows');
-- finds: not checked: public.events (id)
