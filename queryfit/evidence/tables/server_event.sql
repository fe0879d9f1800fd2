-- What happened to the server or to its counters between two captures.
-- source: differences of captures
-- capture: history
create table server_event (
    happened_at timestamp not null,             -- when it happened where that is known, else the capture that saw it first, UTC
    kind varchar not null,                      -- statements_reset, counters_reset, evicted, restarted, crashed, failed_over, upgraded, gap, setting_changed, index_added, index_dropped, relation_added, relation_dropped, column_changed, analyzed
    database varchar,                           -- null for the whole server
    subject varchar,                            -- setting, index, relation or fingerprint; null for the server
    value_before varchar,                       -- value before, as text
    value_now varchar,                          -- value after, as text
    detail varchar                              -- more, in words
);
