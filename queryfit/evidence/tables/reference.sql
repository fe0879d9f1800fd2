-- Which column a statement uses, and in which role; from the parse tree, names resolved against the catalog.
-- source: queryfit.sql.references
-- capture: sample
create table reference (
    database varchar not null,                  -- database whose catalog resolved the names
    fingerprint varchar not null,               -- statement_text.fingerprint
    block integer not null,                     -- query block: 0 is the outermost SELECT (or the DML itself), others are subqueries and CTEs in order of appearance
    clause integer not null,                    -- conditions of one top-level AND list of a block have distinct numbers; the arms of one OR share theirs
    relation varchar not null,                  -- schema.name, resolved
    alias varchar not null,                     -- name it goes by in the block
    column_name varchar not null,               -- column, unquoted; '*' for a whole row
    role varchar not null,                      -- select, equality, range, pattern, null_test, in_subquery, not_in_subquery, join, order, group, distinct, set, insert, other
    operator varchar,                           -- =, <, ~~, is null, in …
    expression varchar,                         -- what stands around the column when it is not bare: lower(email); null for the bare column
    cast_type varchar,                          -- type of an explicit cast directly on the column
    is_disjunct boolean not null,               -- below OR or NOT: an index on this column alone does not answer the clause
    is_optional boolean not null,               -- on the nullable side of an outer join's condition
    position integer,                           -- place in ORDER BY, GROUP BY or DISTINCT, from 1
    is_descending boolean,                      -- ORDER BY direction
    is_nulls_first boolean,                     -- as it takes effect
    value varchar,                              -- other side when it is a constant or parameter: $1, 'paid'
    value_kind varchar,                         -- parameter, constant, list, array, subquery, column, expression
    value_cast_type varchar,                    -- type of an explicit cast on the other side
    other_relation varchar,                     -- other side of a join condition, schema.name
    other_column varchar                        -- its column, unquoted
);
