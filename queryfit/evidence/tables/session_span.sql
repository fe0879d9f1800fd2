-- Sessions as the captures of a span saw them, by what they did and waited for.
-- source: activity of the captures
-- capture: history
create table session_span (
    started_at timestamp not null,              -- span.started_at
    ended_at timestamp not null,                -- span.ended_at
    database varchar,                           -- database; null for one without
    role varchar,                               -- role
    application varchar,                        -- application_name
    state varchar,                              -- active, idle, idle in transaction …; null where hidden
    wait_type varchar,                          -- wait_event_type
    wait_event varchar,                         -- wait_event
    samples bigint not null,                    -- looks at the sessions in the span
    mean_sessions double not null,              -- sessions of this kind a look
    most_sessions bigint not null,              -- the most in one look
    longest_transaction_ms double               -- age of the oldest transaction among them
);
