-- Where each sequence stood at the end of a span.
-- source: relation_sequence of the captures
-- capture: history
create table sequence_span (
    started_at timestamp not null,              -- span.started_at
    ended_at timestamp not null,                -- span.ended_at
    database varchar not null,                  -- database
    sequence varchar not null,                  -- schema.name
    last_value bigint                           -- at its end; null when never used or not readable
);
