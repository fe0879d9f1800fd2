-- rule: invalid-index
-- title: Index left invalid by a build that failed
-- severity: warning
-- reads: relation, relation_index, activity
-- message: {index} is invalid: no query on {relation} may use it, {write_cost}; {what_to_do}.
-- fix: {fix_sql}
-- since: 0.1
--
-- ## Why it matters
-- A `create index concurrently` or `reindex concurrently` that is cancelled, deadlocks or meets a duplicate key leaves
-- its index behind. The planner ignores it, but from its second phase on every write still maintains it. A unique one
-- may reject rows for a promise that nobody can rely on.
--
-- ## What to do
-- Rebuild it in place with `reindex index concurrently`, after removing the duplicates if it is unique; a left-over of
-- a reindex (its name ends in _ccnew or _ccold) is dropped instead, because the index that it should have replaced is
-- still there. The index of a partitioned table is valid as soon as every partition has its part attached.
--
-- ## When to leave it
-- While the build still runs. The rule stays silent when it sees one.

with latest as (
    select *
    from activity
    where sampled_at = (select max(sampled_at) from activity)
        and not is_own
),
building as (
    select database, bool_or(is_build) as is_build, bool_or(is_hidden) as is_hidden
    from (
        select
            database,
            state = 'active' and regexp_matches(lower(text), '\b(create\s+(unique\s+)?index|reindex)\s')
                as is_build,
            state is null and backend_type is null as is_hidden
        from latest
        where database is not null
    ) as session
    group by database
),
invalid as (
    select
        idx.*,
        rel.kind,
        rel.root as table_root,
        coalesce(building.is_hidden, false) as is_hidden,
        regexp_matches(idx.index, '_cc(new|old)\d*"?$') as is_left_over
    from relation_index as idx
    join relation as rel on rel.database = idx.database and rel.relation = idx.relation
    left join building on building.database = idx.database
    where not idx.is_valid
        and not coalesce(building.is_build, false)
)

select
    invalid.database,
    case when invalid.is_hidden then invalid.database else invalid.index end as subject,
    -- a part that is invalid makes the whole invalid: one finding
    coalesce(invalid.parent_index, invalid.index) as root,
    invalid.index,
    invalid.relation,
    invalid.size_bytes,
    invalid.is_ready,
    invalid.is_unique,
    invalid.definition,
    case
        when invalid.kind = 'partitioned_table' then 'and the partitions without their part have none at all'
        when invalid.is_ready then 'yet every write still maintains it'
        else 'and it stands in the way of its name'
    end as write_cost,
    case
        when invalid.kind = 'partitioned_table' then 'build and attach the parts that are missing'
        when invalid.is_left_over then 'drop this left-over of a reindex'
        when invalid.is_unique then 'remove the duplicates and rebuild it, or drop it'
        else 'rebuild or drop it'
    end as what_to_do,
    case
        when invalid.kind = 'partitioned_table'
            then '-- for each partition without its part: create the same index concurrently, then' || chr(10)
                || '-- alter index (of the parent) attach partition (that of the partition);'
        when invalid.is_left_over then 'drop index concurrently ' || invalid.index || ';'
        else 'reindex index concurrently ' || invalid.index || ';'
    end as fix_sql,
    case
        when invalid.is_hidden
            then 'it holds an invalid index, but what other sessions do is hidden: one of them may be building it'
    end as not_checked_reason,
    case when invalid.is_hidden then 'grant pg_monitor to the role of the audit' end as hint
from invalid;

-- example: a concurrent build that failed
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, is_valid) values ('public.orders', 'public.orders_x', false);
insert into activity (backend_type, state, text) values
    ('client backend', 'idle', 'create index concurrently orders_x');
-- finds: public.orders_x

-- example: a build that still runs
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, is_valid) values ('public.orders', 'public.orders_x', false);
insert into activity (backend_type, state, text) values
    ('client backend', 'active', 'CREATE UNIQUE INDEX CONCURRENTLY orders_x ON orders (x)');
-- finds: nothing

-- example: what the others do is hidden
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, is_valid) values ('public.orders', 'public.orders_x', false);
insert into activity (backend_type, state, text) values (null, null, null);
-- finds: not checked: app

-- example: valid indexes, ready or just being made ready
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index) values ('public.orders', 'public.orders_x');
-- finds: nothing
