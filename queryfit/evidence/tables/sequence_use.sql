-- How fast sequences are used up: as a history saw it, else by the rows inserted in the window of the counters.
-- source: relation_sequence, relation_total, trend
-- capture: derived
create table sequence_use (
    database varchar not null,                  -- database
    sequence varchar not null,                  -- schema.name
    used_per_day double,                        -- numbers a day; null when unknown
    used_per_day_low double,                    -- it may be as few as this (90 % interval); null where no history was read
    used_per_day_high double,                   -- or as many as this
    is_seen boolean not null                    -- a history saw the numbers run; else one number a row is supposed
);

insert into sequence_use
select
    seq.database,
    seq.sequence,
    case
        when trend.subject is not null then abs(trend.per_day)
        when total.inserted_rows_per_day > 0 then total.inserted_rows_per_day * abs(seq.increment)
    end,
    least(abs(trend.per_day_low), abs(trend.per_day_high)),
    greatest(abs(trend.per_day_low), abs(trend.per_day_high)),
    trend.subject is not null
from relation_sequence as seq
left join relation_total as total on total.database = seq.database and total.relation = seq.relation
left join trend on trend.kind = 'sequence' and trend.database = seq.database and trend.subject = seq.sequence;
