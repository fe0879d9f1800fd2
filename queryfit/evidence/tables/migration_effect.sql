-- What one action of a statement does to one relation: its lock, the work under it, and the consequences.
-- Names are as SQL needs them; null is what is not known. The work on a partitioned table is that on its partitions in use.
-- source: migration_step, by the rules of PostgreSQL's major version
-- capture: migration
create table migration_effect (
    effect integer not null,                    -- number, over all steps
    step integer not null,                      -- migration_step.step
    history integer not null,                   -- which history of several it belongs to: each runs on a database of its own; 0 where there is one
    action varchar not null,                    -- what is done: `add column`, `create index`, `also lock` for a relation that is locked besides …
    relation varchar,                           -- what is locked or changed; of an index its table; of a type, function or schema its name
    relation_kind varchar not null,             -- table, partitioned table, view, materialized view, sequence, index, domain, enum, type, function …
    lock_level integer not null,                -- 1 ACCESS SHARE … 3 ROW EXCLUSIVE, 4 SHARE UPDATE EXCLUSIVE, 5 SHARE, 6 SHARE ROW EXCLUSIVE, 7 EXCLUSIVE, 8 ACCESS EXCLUSIVE; 0 none
    column_name varchar,                        -- column it is about, unquoted
    columns varchar,                            -- several columns: `a, b`
    object_name varchar,                        -- constraint, index, trigger, policy, enum value, setting …
    other_relation varchar,                     -- referenced table, partition, parent
    new_name varchar,                           -- name after a rename; referenced columns of a foreign key; serial, identity, stored or virtual for a column that fills itself
    definition varchar,                         -- default, constraint, access method … as in the file; of a new table `unlogged` or `temporary`
    type_before varchar,                        -- type of the column before
    type_after varchar,                         -- and after
    is_known boolean not null,                  -- the migrations before made it, or --against knows it
    is_new boolean not null,                    -- nobody else uses it yet: born in this file or transaction, or temporary
    is_present boolean not null,                -- false: what is dropped is not there, or what is made is there already
    is_small boolean not null,                  -- by --against it is so small that no work on it takes time; or truncated in the same transaction
    is_object_new boolean not null,             -- the column, constraint, type, function … itself is made in this file
    is_name_new boolean not null,               -- it is made in this file, or got its name there
    name_returns varchar,                       -- a name that is taken away is there again later in the same `transaction`, or in the same `file`; `swap`: what is renamed takes a name that the file took away before; null: none of these
    new_relation varchar,                       -- qualified name after a rename or SET SCHEMA
    is_rewrite boolean,                         -- its rows are all written anew under the lock
    is_scan boolean,                            -- it is read whole under the lock
    is_index_build boolean,                     -- an index is built under the lock
    is_index_rebuild boolean,                   -- indexes that were there are built anew under the lock
    reason varchar,                             -- why, in a few words
    is_lossy boolean not null,                  -- rows or values are gone for good
    is_breaking boolean not null,               -- statements of running clients fail, or mean something else
    is_reversible boolean not null,             -- another statement can bring the state before back
    is_concurrent boolean,                      -- CONCURRENTLY; null where the action has no such form
    is_validated boolean,                       -- the constraint is checked against the rows that are there; of a function: has a fixed search_path
    is_cascade boolean,                         -- CASCADE
    is_unique boolean,                          -- of an index; of a materialized view: a unique index tells all its rows apart
    is_partitioned boolean,                     -- the relation is a partitioned table
    is_default boolean,                         -- an added column has a default
    has_where boolean,                          -- UPDATE and DELETE
    has_index boolean,                          -- a foreign key: when all files have run, an index of the table leads with its columns
    has_policy boolean,                         -- SET ROW SECURITY: when all files have run, the table has a policy
    has_primary_key boolean,                    -- CREATE TABLE: when all files have run, the table (or the parent of the partition) has a primary key
    size_bytes bigint,                          -- of the table with its indexes, by --against
    row_count bigint,                           -- its rows, by --against
    writes_per_s double,                        -- rows written a second, by --against
    reads_per_s double                          -- scans started a second, by --against
);
