-- rule: not-in-subquery
-- title: NOT IN (SELECT …) cannot become a join
-- severity: warning
-- reads: workload, shape, reference, relation_extent, plan, plan_node
-- message: NOT IN (SELECT …) over {relation} ({table_rows} rows) cannot become an anti-join: {how}, and one NULL in
--     the list makes it return nothing; write NOT EXISTS.
-- fix: -- instead of: where x not in (select y from t where …)
--     -- where not exists (select from t where t.y = x and …)
-- param: least_rows = 10000 -- a list that fits into memory with ease
-- param: least_calls = 5 -- a statement run by hand is no workload
-- param: least_ms = 1 -- a call below this has no time to lose
-- param: saved = 0.5 -- share of the time that an anti-join is expected to save where the list is not hashed
-- param: saved_low = 0.2 -- the same, cautiously
-- since: 0.1
--
-- ## Why it matters
-- NOT IN has to return nothing as soon as the list holds a NULL, so the planner may not turn it into an anti-join. It
-- hashes the list if it fits into work_mem; one row too many, and the whole list is searched for every row: quadratic.
--
-- ## What to do
-- NOT EXISTS says what is meant, is planned as an anti-join and takes NULLs as they are. An index on the compared
-- column of the inner table helps it further.
--
-- ## When to leave it
-- When the list stays short and its column is NOT NULL.

with involved as (
    -- the largest table of the statement
    select
        reference.database,
        reference.fingerprint,
        extent.root,
        extent.rows,
        row_number() over (
            partition by reference.database, reference.fingerprint order by extent.rows desc nulls last, extent.root
        ) as rank
    from reference
    join relation_extent as extent
        on extent.database = reference.database and extent.relation = reference.relation
),
planned as (
    select
        plan.database,
        plan.fingerprint,
        bool_or(contains(node.filter, 'NOT') and contains(node.filter, 'hashed SubPlan')) as is_hashed,
        bool_or(
            contains(node.filter, 'NOT')
            and contains(node.filter, 'SubPlan')
            and not contains(node.filter, 'hashed SubPlan')
        ) as is_searched
    from plan
    join plan_node as node on node.plan = plan.plan
    group by plan.database, plan.fingerprint
)

select
    workload.database,
    'fingerprint:' || workload.fingerprint as subject,
    'fingerprint:' || workload.fingerprint as root,
    -- while the list is hashed it is only a trap
    case when coalesce(planned.is_searched, false) then 'warning' else 'info' end as severity,
    case when planned.is_searched then 'planned' else 'inferred' end as proof,
    workload.fingerprint,
    case when planned.is_searched then workload.execution_ms_per_day * $saved end as impact_ms_per_day,
    case when planned.is_searched then workload.execution_ms_per_day * $saved_low end as impact_low_ms_per_day,
    workload.execution_ms_per_day as exposure_ms_per_day,
    involved.root as relation,
    involved.rows as table_rows,
    case
        when planned.is_searched then 'the list does not fit into work_mem and is searched for each row'
        when planned.is_hashed then 'the list is hashed as long as it fits into work_mem'
        else 'the list can be hashed only as long as it fits into work_mem'
    end as how,
    workload.calls,
    workload.calls_per_day,
    workload.mean_ms,
    workload.text
from workload
join shape on shape.fingerprint = workload.fingerprint
join involved
    on involved.database = workload.database
    and involved.fingerprint = workload.fingerprint
    and involved.rank = 1
left join planned on planned.database = workload.database and planned.fingerprint = workload.fingerprint
where workload.kind in ('select', 'update', 'delete', 'insert', 'merge')
    and shape.has_not_in_subquery
    and involved.rows >= $least_rows
    and workload.calls >= $least_calls
    and workload.mean_ms >= $least_ms;

-- example: products that nobody reviewed
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.reviews', 'public.reviews', 'table', 90000, 2000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_not_in_subquery) values ('a1', 2, true);
insert into reference (fingerprint, block, relation, alias, column_name, role) values
    ('a1', 1, 'public.reviews', 'reviews', 'product_id', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('a1', 20, 2000, 600, 30);
-- finds: fingerprint:a1

-- example: a list of a few blocked names
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.blocked', 'public.blocked', 'table', 40, 1);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations, has_not_in_subquery) values ('a1', 2, true);
insert into reference (fingerprint, block, relation, alias, column_name, role) values
    ('a1', 1, 'public.blocked', 'blocked', 'name', 'select');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('a1', 2000, 2000, 6000, 3);
-- finds: nothing

-- example: NOT EXISTS over the same table
-- given: evidence
insert into relation (relation, root, kind, tuple_rows, pages) values
    ('public.reviews', 'public.reviews', 'table', 90000, 2000);
insert into statement_text (fingerprint, kind) values ('a1', 'select');
insert into shape (fingerprint, relations) values ('a1', 2);
insert into reference (fingerprint, block, relation, alias, column_name, role) values
    ('a1', 1, 'public.reviews', 'reviews', 'product_id', 'join');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values ('a1', 20, 2000, 600, 30);
-- finds: nothing
