-- Stretches of time that the history is made of, one after the other; what is between two of them was not watched.
-- source: the captures of one server and scope, raw or compacted
-- capture: history
create table span (
    started_at timestamp not null,              -- the capture before, UTC
    ended_at timestamp not null,                -- the capture that ends it, UTC
    grain varchar not null,                     -- capture, hour or day: what it was merged to
    captures bigint not null,                   -- captures that end in it
    covered_s double not null,                  -- seconds of it in which the counters of statements were followed: without what lies before a reset or restart
    looks bigint not null                       -- looks at the sessions in it
);
