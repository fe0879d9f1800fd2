-- Configuration parameters with their values in base units.
-- source: pg_settings
-- capture: full
create table setting (
    name varchar not null,                      -- parameter name
    value varchar,                              -- the setting as pg_settings prints it, in `unit`
    unit varchar,                               -- unit of pg_settings: 8kB, kB, MB, ms, s, min
    value_bytes double,                         -- the value in bytes where the unit is one of memory
    value_ms double,                            -- the value in milliseconds where the unit is one of time
    value_number double,                        -- the value as a number where it is one without unit
    source varchar,                             -- where it was set: default, configuration file, database, user …
    boot_value varchar,                         -- the compiled-in default
    is_pending_restart boolean                  -- changed in the file, waits for a restart
);
