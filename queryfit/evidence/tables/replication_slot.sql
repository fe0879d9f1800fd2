-- Replication slots.
-- source: pg_replication_slots
-- capture: sample
create table replication_slot (
    slot varchar not null,                      -- slot_name
    kind varchar not null,                      -- physical, logical
    database varchar,                           -- database of a logical slot
    is_active boolean not null,                 -- someone streams from it
    is_temporary boolean not null,              -- temporary
    wal_status varchar,                         -- reserved, extended, unreserved, lost
    retained_bytes bigint,                      -- WAL held back for it
    xmin_age_xids bigint,                       -- age(xmin)
    catalog_xmin_age_xids bigint,               -- age(catalog_xmin)
    inactive_since timestamp                    -- inactive_since (17+), UTC
);
