-- Every gap in this capture, down to one locked relation.
-- source: the capture itself
-- capture: sample
create table unread (
    table_name varchar not null,                -- evidence table that lacks the rows
    database varchar,                           -- database, null for the whole server
    subject varchar,                            -- relation or fingerprint, null for all of the table
    reason varchar not null,                    -- what stood in the way, in words
    hint varchar                                -- what would mend it, null where nothing does
);
