-- rule: sequence-near-end
-- title: Sequence that is running out of numbers
-- severity: warning
-- reads: relation_sequence, sequence_use
-- message: {sequence} is at {reached} of {limit_exact}, {used_share} of what {limited_by} allows{forecast}: then
--     nextval() or the insert fails. Raise the limit.
-- fix: {fix_sql}
-- param: min_used_share = 0.7 -- time to plan
-- param: error_used_share = 0.9 -- from here on it is a race
-- param: early_used_share = 0.25 -- with a known rate a younger one is reported when its end is near
-- param: warning_days = 365 -- a year to plan the change in
-- param: error_days = 60 -- a change of the column's type takes that long
-- since: 0.1
--
-- ## Why it matters
-- A sequence ends at its own MAXVALUE, and the column that it feeds at the greatest number of its type, whichever
-- comes first: a bigint sequence on an integer column fails at 2,147,483,647. Numbers are used up by rolled-back
-- inserts and by `insert … on conflict do nothing` as well, so the sequence may be far ahead of the rows.
--
-- ## What to do
-- Where the column has room, `alter sequence … as bigint` or a higher MAXVALUE takes a moment. Where the column is the
-- limit, it has to become bigint (see integer-key-near-end).
--
-- ## When to leave it
-- The numbers have a meaning that ends there, like a four-digit code. A sequence that cycles is never reported.

with seq as (
    select
        database,
        sequence,
        type,
        last_value as reached_value,
        increment,
        relation,
        column_name,
        column_base_type,
        maximum_value,
        is_readable,
        case
            when increment < 0 then minimum_value
            when column_base_type = 'int4' then least(maximum_value, 2147483647)
            when column_base_type = 'int2' then least(maximum_value, 32767)
            else maximum_value
        end as limit_value,
        case when increment < 0 then maximum_value else minimum_value end as first_value
    from relation_sequence
    where not is_cycling
),
judged as (
    select
        seq.*,
        limit_value < maximum_value and increment > 0 as is_column_limit,
        -- as numbers with a point: the span of a bigint does not fit in one
        (reached_value::double - first_value) / nullif(limit_value::double - first_value, 0) as used_share,
        abs(limit_value::double - reached_value) / nullif(rate.used_per_day, 0) as days_left,
        abs(limit_value::double - reached_value) / nullif(rate.used_per_day_high, 0) as days_left_low,
        abs(limit_value::double - reached_value) / nullif(rate.used_per_day_low, 0) as days_left_high,
        rate.used_per_day,
        rate.is_seen
    from seq
    left join sequence_use as rate on rate.database = seq.database and rate.sequence = seq.sequence
)

select
    database,
    sequence as subject,
    -- the key that it feeds runs out with it
    coalesce(relation || ' (' || column_name || ')', sequence) as root,
    case when used_share >= $error_used_share or days_left <= $error_days then 'error' else 'warning' end as severity,
    case when days_left < 36500 then days_left end as days_left,
    case when days_left < 36500 then days_left_low end as days_left_low,
    case when days_left < 36500 then days_left_high end as days_left_high,
    case when days_left is null then 1 - used_share end as headroom_fraction,
    sequence,
    type,
    reached_value,
    limit_value,
    reached_value::varchar as reached,
    limit_value::varchar as limit_exact,
    used_share,
    relation,
    column_name,
    used_per_day,
    is_seen,
    case
        when is_column_limit then 'the column ' || relation || '.' || column_name
        else 'its own maximum'
    end as limited_by,
    case
        when days_left is null then ''
        when days_left < 36500
            then ', and reaches the end in about ' || round(days_left)::bigint || ' days'
            || coalesce(', ' || floor(days_left_low)::bigint || ' to ' || ceil(days_left_high)::bigint || ',', '')
            || ' at the present rate'
        else ', and is hardly growing'
    end as forecast,
    case
        when is_column_limit then
            'alter table ' || relation || ' alter column '
            || case when regexp_matches(column_name, '^[a-z_][a-z0-9_]*$') then column_name
                else '"' || replace(column_name, '"', '""') || '"' end
            || ' type bigint;'
        when increment < 0 then null
        when type <> 'bigint' then 'alter sequence ' || sequence || ' as bigint no maxvalue;'
        else 'alter sequence ' || sequence || ' no maxvalue;'
    end as fix_sql,
    null::varchar as not_checked_reason,
    null::varchar as hint
from judged
where is_readable
    and (
        used_share >= $min_used_share
        or (used_share >= $early_used_share and days_left <= $warning_days)
        -- the numbers were seen to run: even at the slowest pace it is near
        or (is_seen and days_left_high <= $warning_days)
    )

union all

select
    database,
    database,
    null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
    null,
    'the values of ' || count(*) || ' sequences that may end are not readable',
    'grant select on the sequences to the role of the audit, or pg_read_all_data from 14 on'
from judged
where not is_readable
    -- nobody comes to the end of a bigint
    and limit_value between 0 and 1000000000000
group by database;

-- example: invoice numbers of eight digits, 94 % used
-- given: evidence
insert into relation_sequence (sequence, type, last_value, increment, minimum_value, maximum_value) values
    ('public.invoice_number', 'bigint', 94000000, 1, 1, 99999999);
-- finds: public.invoice_number

-- example: a bigint sequence that feeds an integer column
-- given: evidence
insert into relation_sequence
    (sequence, type, last_value, increment, minimum_value, maximum_value, relation, column_name, column_base_type) values
    ('public.jobs_id_seq', 'bigint', 2000000000, 1, 1, 9223372036854775807, 'public.jobs', 'id', 'int4');
-- finds: public.jobs_id_seq

-- example: one that counts down to its minimum
-- given: evidence
insert into relation_sequence (sequence, type, last_value, increment, minimum_value, maximum_value) values
    ('public.down', 'integer', -2100000000, -1, -2147483648, -1);
-- finds: public.down

-- example: half used, never used, cycling, and an endless one
-- given: evidence
insert into relation_sequence (sequence, type, last_value, increment, minimum_value, maximum_value, is_cycling) values
    ('public.half', 'integer', 1073741823, 1, 1, 2147483647, false),
    ('public.new', 'integer', null, 1, 1, 2147483647, false),
    ('public.ring', 'integer', 990, 1, 1, 1000, true),
    ('public.big', 'bigint', 3000000000, 1, 1, 9223372036854775807, false);
-- finds: nothing

-- example: 5 % used, and a history that saw five million a day of it
-- given: evidence
insert into relation_sequence (sequence, type, last_value, increment, minimum_value, maximum_value) values
    ('public.ticket', 'bigint', 50000000, 1, 1, 999999999);
insert into trend (kind, subject, per_day, per_day_low, per_day_high) values
    ('sequence', 'public.ticket', 5000000, 4500000, 5500000);
-- finds: public.ticket

-- example: a history in which it hardly moved, or may have stood still
-- given: evidence
insert into relation_sequence (sequence, type, last_value, increment, minimum_value, maximum_value) values
    ('public.code', 'bigint', 50000000, 1, 1, 999999999), ('public.burst', 'bigint', 50000000, 1, 1, 999999999);
insert into trend (kind, subject, per_day, per_day_low, per_day_high) values
    ('sequence', 'public.code', 20, 10, 30), ('sequence', 'public.burst', 5000000, 0, 90000000);
-- finds: nothing

-- example: values that the role may not read
-- given: evidence
insert into relation_sequence (sequence, type, is_readable, increment, minimum_value, maximum_value) values
    ('public.a', 'integer', false, 1, 1, 2147483647), ('public.b', 'bigint', false, 1, 1, 9223372036854775807);
-- finds: not checked: app
