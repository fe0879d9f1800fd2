-- Statements by fingerprint with rates: the counters of all roles and queryids of one text in one database.
-- source: statement, statement_text, statement_store, server
-- capture: derived
create table workload (
    database varchar not null,                  -- database
    fingerprint varchar not null,               -- statement_text.fingerprint
    text varchar not null,                      -- statement_text.text
    kind varchar not null,                      -- statement_text.kind
    queryids bigint not null,                   -- entries of pg_stat_statements that make it up
    calls bigint not null,                      -- finished calls
    rows bigint not null,                       -- rows returned or changed
    rows_per_call double not null,              -- rows / calls
    mean_ms double not null,                    -- execution time of a call
    stddev_ms double,                           -- pooled over the entries
    min_ms double,                              -- fastest call
    max_ms double,                              -- slowest call
    execution_ms double not null,               -- total execution time
    planning_ms double,                         -- total planning time; null when planning is not tracked
    plans bigint,                               -- times planned
    blocks_hit bigint not null,                 -- shared blocks, 8 kB
    blocks_read bigint not null,                -- shared blocks, 8 kB
    temp_blocks_written bigint not null,        -- 8 kB
    wal_bytes bigint,                           -- WAL generated
    jit_ms double,                              -- time in JIT
    window_s double,                            -- seconds that the counters cover; null when unknown
    calls_per_day double,                       -- null when the window is unknown
    execution_ms_per_day double,                -- null when the window is unknown
    time_share double not null,                 -- share of the execution time of all captured statements, 0 to 1
    is_extrapolated boolean not null            -- the window is under an hour
);

insert into workload
with entry as (
    select
        statement.*,
        -- nothing was evicted: an entry that is younger than the reset was not called before, so its window is the
        -- whole one; a statement first seen ten seconds ago must not read as 8,640 calls a day
        epoch(
            server.captured_at
            - case when store.evictions = 0 then coalesce(store.reset_at, counted_since) else counted_since end
        ) as seconds,
        store.tracks_planning
    from statement
    cross join server
    left join statement_store as store on true  -- LEFT JOIN: statements from logs have no store
    where statement.is_toplevel
),
grouped as (
    select
        database,
        fingerprint,
        count(*) as queryids,
        sum(calls)::bigint as calls,
        sum(rows)::bigint as rows,
        sum(execution_ms) as execution_ms,
        -- Σ n(σ² + μ²) / N − M²: the variance of a union from its parts
        sum(calls * (stddev_ms * stddev_ms + mean_ms * mean_ms)) / sum(calls) as mean_square,
        min(min_ms) as min_ms,
        max(max_ms) as max_ms,
        case when coalesce(bool_or(tracks_planning), false) then sum(planning_ms) end as planning_ms,
        sum(plans)::bigint as plans,
        sum(shared_blocks_hit)::bigint as blocks_hit,
        sum(shared_blocks_read)::bigint as blocks_read,
        sum(temp_blocks_written)::bigint as temp_blocks_written,
        sum(wal_bytes)::bigint as wal_bytes,
        sum(jit_ms) as jit_ms,
        -- each entry has a window of its own: rates add up, totals over one window would not
        case when bool_and(seconds > 0) then sum(calls * 86400.0 / seconds) end as calls_per_day,
        case when bool_and(seconds > 0) then sum(execution_ms * 86400.0 / seconds) end as execution_ms_per_day,
        max(seconds) as window_s
    from entry
    where calls > 0
    group by database, fingerprint
)
select
    grouped.database,
    grouped.fingerprint,
    statement_text.text,
    statement_text.kind,
    queryids,
    calls,
    rows,
    rows::double / calls,
    execution_ms / calls,
    sqrt(greatest(mean_square - (execution_ms / calls) * (execution_ms / calls), 0)),
    min_ms,
    max_ms,
    execution_ms,
    planning_ms,
    plans,
    blocks_hit,
    blocks_read,
    temp_blocks_written,
    wal_bytes,
    jit_ms,
    window_s,
    calls_per_day,
    execution_ms_per_day,
    coalesce(execution_ms / nullif(sum(execution_ms) over (), 0), 0),
    coalesce(window_s < 3600, true)
from grouped
join statement_text on statement_text.fingerprint = grouped.fingerprint;
