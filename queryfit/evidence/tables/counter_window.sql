-- Since when the cumulative counters of each database run.
-- source: database, checkpoint, server
-- capture: derived
create table counter_window (
    database varchar not null,                  -- database
    counted_since timestamp,                    -- a moment since which its counters surely run, UTC; null when unknown
    window_days double                          -- days from there to the capture; null when unknown
);

insert into counter_window
with since as (
    select
        database.database,
        server.captured_at,
        -- from 15 a database that was never reset has no stats_reset; the counters of the whole server then began with
        -- those of the checkpointer or before: a crash resets both, and a reset of that one alone errs on the short side
        coalesce(database.counters_since, checkpoint.counted_since) as counted_since
    from database
    cross join server
    left join checkpoint on true  -- LEFT JOIN: a capture may lack it
)

select
    database,
    counted_since,
    case when captured_at > counted_since then epoch(captured_at - counted_since) / 86400 end
from since;
