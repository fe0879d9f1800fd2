-- One row of flags per fingerprint.
-- source: queryfit.sql.shape
-- capture: sample
create table shape (
    fingerprint varchar not null,               -- statement_text.fingerprint
    relations integer not null,                 -- relations named, with repeats
    joins integer not null,                     -- joins, explicit and by comma
    subqueries integer not null,                -- sublinks and subselects
    common_tables integer not null,             -- CTEs
    parameters integer not null,                -- greatest $n
    has_where boolean not null,                 -- the outermost block has a WHERE
    has_limit boolean not null,                 -- the outermost block has LIMIT or FETCH
    has_constant_limit boolean not null,        -- that limit is a constant
    has_offset boolean not null,                -- the outermost block has OFFSET
    offset_rows bigint,                         -- its value when it is a constant
    has_order_by boolean not null,              -- the outermost block has ORDER BY
    has_group_by boolean not null,              -- the outermost block has GROUP BY
    has_distinct boolean not null,              -- the outermost block has DISTINCT
    has_aggregate boolean not null,             -- the outermost block calls an aggregate
    has_window boolean not null,                -- a window function is called
    has_set_operation boolean not null,         -- UNION, INTERSECT, EXCEPT
    has_star boolean not null,                  -- the outermost block selects *
    has_recursion boolean not null,             -- WITH RECURSIVE
    has_row_locks boolean not null,             -- FOR UPDATE, FOR SHARE …
    is_skip_locked boolean not null,            -- SKIP LOCKED: a queue
    is_count_only boolean not null,             -- nothing but count(*) or count(constant) of one block
    is_full_read boolean not null,              -- reads one relation whole: no WHERE, LIMIT, aggregate, join
    has_not_in_subquery boolean not null,       -- NOT IN (SELECT …) anywhere
    has_leading_wildcard boolean not null,      -- LIKE '%…' with the pattern visible
    has_returning boolean not null,             -- RETURNING
    has_writing_cte boolean not null            -- a CTE that writes
);
