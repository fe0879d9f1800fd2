-- Where things are heading: a line through the history, with the day on which it reaches a limit.
-- source: sequence_span, relation_span, database_span, session_span
-- capture: history
create table trend (
    kind varchar not null,                      -- sequence, table_size, database_size, xid_age, multixact_age, connections
    database varchar,                           -- null for the whole server
    subject varchar not null,                   -- sequence, relation or database
    unit varchar not null,                      -- values, bytes, xids, multixacts, connections
    first_at timestamp not null,                -- first point, UTC
    last_at timestamp not null,                 -- last point, UTC
    points bigint not null,                     -- points that the line goes through
    value double not null,                      -- at last_at
    per_day double not null,                    -- slope
    per_day_low double not null,                -- the slope may be as small as this (90 % interval)
    per_day_high double not null,               -- or as large as this
    limit_value double,                         -- what it must not reach; null where there is none
    limit_name varchar,                         -- what that is: int4, max_connections, autovacuum_freeze_max_age …
    days_left double,                           -- at the slope; null where it does not get there
    days_left_low double,                       -- at the larger slope
    days_left_high double                       -- at the smaller slope; null: may never
);
