-- rule: partitions-not-pruned
-- title: A statement reads all partitions although it filters
-- severity: warning
-- proof: planned
-- reads: plan, plan_node, relation, reference, shape, workload
-- message: {calls} calls of {mean_ms} read all {partitions} partitions of {relation}: {why}.
-- fix: -- {advice}
-- param: least_partitions = 4 -- fewer are read as fast as one is found
-- param: least_partitions_without_key = 12 -- a lookup by another index in a few partitions is no fault
-- param: least_share = 0.9 -- of the partitions; a default or a new one may be pruned by its bounds
-- param: least_calls = 10 -- a statement run by hand is no workload
-- param: least_calls_without_key = 1000 -- a statement that never names the key has to be a frequent one
-- param: least_time_share = 0.01 -- likewise, of the time of all statements
-- param: saved = 0.5 -- share of the time spent on partitions without matching rows
-- param: saved_low = 0.2 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- Partitions are left out only where a condition compares the bare partition key with a value, a parameter or a stable
-- function. `viewed_at::date = $1` says nothing about viewed_at to the planner, so each partition is planned, locked
-- and read, and what partitioning was made for is lost.
--
-- ## What to do
-- Compare the bare key with a range: `viewed_at >= $1 and viewed_at < $1 + interval '1 day'`. Where the statement does
-- not know the key, add it, if only as a generous range.
--
-- ## When to leave it
-- When the statement means all partitions, or there are few and it is rare.

with part as (
    select database, root, count(*) as partitions
    from relation
    where is_partition and kind <> 'partitioned_table'
    group by database, root
),
read as (
    select
        plan.database,
        plan.fingerprint,
        plan.plan,
        relation.root,
        count(distinct node.relation) as read_partitions,
        bool_or(node.node_type = 'Seq Scan') as has_scan,
        sum(node.self_cost * node.estimated_loops) / nullif(max(plan.total_cost), 0) as cost_share
    from plan
    join plan_node as node on node.plan = plan.plan
    join relation on relation.database = plan.database and relation.relation = node.relation
    where relation.is_partition
    group by plan.database, plan.fingerprint, plan.plan, relation.root
),
pruned as (
    select distinct plan
    from plan_node
    where subplans_removed > 0
),
-- what the statement says about columns of the key
condition as (
    select
        reference.database,
        reference.fingerprint,
        reference.relation as root,
        bool_or(
            reference.expression is null and reference.cast_type is null and not reference.is_disjunct
        ) as is_plain,
        min(reference.expression) as expression,
        min(reference.column_name) as column_name,
        bool_or(reference.is_disjunct) as is_disjunct
    from reference
    join relation
        on relation.database = reference.database
        and relation.relation = reference.relation
        and relation.kind = 'partitioned_table'
    where reference.clause > 0
        and contains(
            ' ' || translate(relation.partition_key, '(),"', '    ') || ' ', ' ' || reference.column_name || ' '
        )
    group by reference.database, reference.fingerprint, reference.relation
),
filtered as (
    select distinct database, fingerprint, relation as root
    from reference
    where clause > 0
),
judged as (
    select
        read.*,
        part.partitions,
        condition.expression,
        condition.column_name,
        condition.root is not null as has_key,
        coalesce(condition.is_disjunct, false) as is_disjunct,
        workload.calls,
        workload.calls_per_day,
        workload.mean_ms,
        workload.rows_per_call,
        workload.execution_ms_per_day,
        workload.time_share,
        workload.text,
        row_number() over (
            partition by read.database, read.fingerprint, read.root order by read.plan
        ) as place
    from read
    join part on part.database = read.database and part.root = read.root
    join relation as top on top.database = read.database and top.relation = read.root
    join workload on workload.database = read.database and workload.fingerprint = read.fingerprint
    join filtered
        on filtered.database = read.database
        and filtered.fingerprint = read.fingerprint
        and filtered.root = read.root
    left join condition
        on condition.database = read.database
        and condition.fingerprint = read.fingerprint
        and condition.root = read.root
    left join pruned on pruned.plan = read.plan
    where pruned.plan is null
        -- a bare condition on the key prunes when the statement starts, which a generic plan does not show
        and not coalesce(condition.is_plain, false)
        -- a key that is an expression is pruned by the same expression
        and length(top.partition_key) - length(replace(top.partition_key, '(', '')) = 1
        and workload.kind in ('select', 'update', 'delete')
        and part.partitions >= $least_partitions
        and read.read_partitions >= $least_share * part.partitions
        and workload.calls >= $least_calls
)

select
    database,
    root as subject,
    case when has_key then 'warning' else 'info' end as severity,
    fingerprint,
    execution_ms_per_day * least(1, coalesce(cost_share, 1)) * (1 - 1.0 / partitions) * $saved as impact_ms_per_day,
    execution_ms_per_day * least(1, coalesce(cost_share, 1)) * (1 - 1.0 / partitions) * $saved_low
        as impact_low_ms_per_day,
    root as relation,
    partitions,
    read_partitions,
    column_name,
    expression,
    case
        when expression is not null then 'it compares ' || expression || ', which says nothing about the partition key'
        when is_disjunct then 'its condition on the partition key ' || column_name || ' stands below an OR'
        else 'it has no condition on the partition key'
    end as why,
    case
        when expression is not null then
            'compare the bare key with a range: ' || column_name || ' >= … and ' || column_name || ' < …'
        else 'add a condition on the bare partition key, if only a generous range'
    end as advice,
    calls,
    calls_per_day,
    mean_ms,
    rows_per_call,
    text
from judged
where place = 1
    and (
        (has_key and has_scan)
        or (
            not has_key
            and partitions >= $least_partitions_without_key
            and calls >= $least_calls_without_key
            and time_share >= $least_time_share
        )
    );

-- example: the views of a day, by a cast of the key
-- given: evidence
insert into relation (relation, root, kind, is_partition, partition_key) values
    ('public.views', 'public.views', 'partitioned_table', false, 'RANGE (viewed_at)'),
    ('public.v1', 'public.views', 'table', true, null), ('public.v2', 'public.views', 'table', true, null),
    ('public.v3', 'public.views', 'table', true, null), ('public.v4', 'public.views', 'table', true, null);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into reference (fingerprint, relation, alias, clause, column_name, role, expression, cast_type) values
    ('a1', 'public.views', 'views', 1, 'viewed_at', 'equality', 'viewed_at::date', 'date');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 1000, 60000, 60);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node, node_type, relation, filter, self_cost, estimated_loops) values
    ('a1 1', 1, 'Seq Scan', 'public.v1', '((viewed_at)::date = $1)', 20, 1),
    ('a1 1', 2, 'Seq Scan', 'public.v2', '((viewed_at)::date = $1)', 20, 1),
    ('a1 1', 3, 'Seq Scan', 'public.v3', '((viewed_at)::date = $1)', 20, 1),
    ('a1 1', 4, 'Seq Scan', 'public.v4', '((viewed_at)::date = $1)', 20, 1);
-- finds: public.views

-- example: a range over the bare key prunes when the statement starts, which the generic plan does not show
-- given: evidence
insert into relation (relation, root, kind, is_partition, partition_key) values
    ('public.views', 'public.views', 'partitioned_table', false, 'RANGE (viewed_at)'),
    ('public.v1', 'public.views', 'table', true, null), ('public.v2', 'public.views', 'table', true, null),
    ('public.v3', 'public.views', 'table', true, null), ('public.v4', 'public.views', 'table', true, null);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.views', 'views', 1, 'viewed_at', 'range', '>=');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values ('a1', 1000, 60000, 60);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100);
insert into plan_node (plan, node, node_type, relation, self_cost, estimated_loops) values
    ('a1 1', 1, 'Seq Scan', 'public.v1', 20, 1), ('a1 1', 2, 'Seq Scan', 'public.v2', 20, 1),
    ('a1 1', 3, 'Seq Scan', 'public.v3', 20, 1), ('a1 1', 4, 'Seq Scan', 'public.v4', 20, 1);
-- finds: nothing

-- example: a report over everything, and a lookup by another index in a few partitions
-- given: evidence
insert into relation (relation, root, kind, is_partition, partition_key) values
    ('public.views', 'public.views', 'partitioned_table', false, 'RANGE (viewed_at)'),
    ('public.v1', 'public.views', 'table', true, null), ('public.v2', 'public.views', 'table', true, null),
    ('public.v3', 'public.views', 'table', true, null), ('public.v4', 'public.views', 'table', true, null);
insert into statement_text (fingerprint, kind) values ('a1', 'select'), ('b2', 'select');
insert into reference (fingerprint, relation, alias, clause, column_name, role, operator) values
    ('a1', 'public.views', 'views', 0, 'path', 'group', null),
    ('b2', 'public.views', 'views', 1, 'id', 'equality', '=');
insert into statement (fingerprint, calls, execution_ms, mean_ms) values
    ('a1', 1000, 60000, 60), ('b2', 100000, 6000, 0.06);
insert into plan (plan, fingerprint, total_cost) values ('a1 1', 'a1', 100), ('b2 1', 'b2', 100);
insert into plan_node (plan, node, node_type, relation, self_cost, estimated_loops) values
    ('a1 1', 1, 'Seq Scan', 'public.v1', 20, 1), ('a1 1', 2, 'Seq Scan', 'public.v2', 20, 1),
    ('a1 1', 3, 'Seq Scan', 'public.v3', 20, 1), ('a1 1', 4, 'Seq Scan', 'public.v4', 20, 1),
    ('b2 1', 1, 'Index Scan', 'public.v1', 20, 1), ('b2 1', 2, 'Index Scan', 'public.v2', 20, 1),
    ('b2 1', 3, 'Index Scan', 'public.v3', 20, 1), ('b2 1', 4, 'Index Scan', 'public.v4', 20, 1);
-- finds: nothing
