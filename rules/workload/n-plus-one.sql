-- rule: n-plus-one
-- title: One statement for every row of another
-- severity: warning
-- reads: workload, statement_interval, reference, shape, relation_constraint, constraint_column, relation_column,
--     relation, statement_text
-- message: {repeats_per_call} calls on {relation} follow each call of the statement that lists {parent_relation},
--     one for every row ({link}; {seen}); fetch them in one call with a JOIN or `= any($1)`.
-- fix: -- {advice}
--     {replacement}
-- param: least_rows_per_call = 3 -- a parent that returns a row or two starts no loop
-- param: least_repeats = 3 -- likewise for the calls that follow
-- param: least_ratio = 0.8 -- calls of the child per row of the parent; below 1 where the application remembers rows …
-- param: most_ratio = 1.25 -- … above 1 where others run the child too
-- param: least_ratio_unseen = 0.95 -- the same where no course confirms it: many pairs agree by chance …
-- param: most_ratio_unseen = 1.05 -- … within a quarter
-- param: least_parent_calls = 3 -- a batch that ran once or twice is no page
-- param: least_child_calls = 30 -- fewer say nothing
-- param: least_intervals = 5 -- a correlation over fewer is chance
-- param: least_correlation = 0.8 -- of the child's calls with the parent's rows; true loops reach 0.99, chance 0.6 …
-- param: most_deviation = 0.15 -- … and their distance, as a share of the calls, beyond one page that may be under way
-- param: most_deviation_unseen = 0.05 -- the same where pages under way blur the correlation: few calls in an interval
-- param: least_variation = 0.1 -- deviation over mean of the parent's rows; at a steadier load all statements …
-- param: least_correlation_steady = 0.98 -- … follow the machine's hiccups together, and true loops only differ by this
-- param: low_share = 0.5 -- of the saving: the rows themselves still have to be read …
-- param: lookup_ms = 1 -- … and what a call takes beyond a lookup by index is not the loop's fault but a missing index's
-- since: 0.1
--
-- ## Why it matters
-- An application lists some rows and then asks once more for each of them, often without its author knowing: an ORM
-- loads a relation lazily. Every call pays for parsing, planning, locks and above all a round trip, during which the
-- application holds its connection. The page gets slower with every row that it shows.
--
-- ## What to do
-- Let the first statement join what is needed, or collect the keys and ask once with `= any($1)`. In an ORM: eager
-- loading (select_related or prefetch_related, includes, JOIN FETCH, dataloader).
--
-- ## When to leave it
-- When the calls are not a loop but happen to be as many: a suspicion from cumulative counters alone says so, and
-- `queryfit audit --for 1m` tells the two apart. A job that works off rows one by one on purpose, each in its own
-- transaction, is right as it is.

with span as (
    select count(distinct interval) as intervals
    from statement_interval
),
-- what was seen between two looks counts; else what the server counted since its reset
seen as (
    select
        interval.database,
        interval.fingerprint,
        sum(interval.calls) as calls,
        sum(interval.rows) as rows,
        max(span.intervals) as intervals
    from statement_interval as interval
    cross join span
    group by interval.database, interval.fingerprint
    union all
    select workload.database, workload.fingerprint, workload.calls, workload.rows, 0
    from workload
    cross join span
    where span.intervals = 0
),
parent as (
    select seen.database, seen.fingerprint, seen.calls, seen.rows, seen.intervals
    from seen
    join statement_text on statement_text.fingerprint = seen.fingerprint
    join shape on shape.fingerprint = seen.fingerprint
    where statement_text.kind = 'select'
        and seen.calls >= $least_parent_calls
        and seen.rows >= $least_rows_per_call * seen.calls
        -- its rows are groups, not rows of the table
        and not shape.has_group_by
        and not shape.is_skip_locked
),
child as (
    select seen.database, seen.fingerprint, seen.calls, seen.intervals
    from seen
    join statement_text on statement_text.fingerprint = seen.fingerprint
    join shape on shape.fingerprint = seen.fingerprint
    where statement_text.kind = 'select'
        and seen.calls >= $least_child_calls
        and not shape.is_skip_locked
),
returned as (
    select distinct
        reference.database,
        reference.fingerprint,
        reference.relation,
        reference.column_name
    from reference
    join parent on parent.database = reference.database and parent.fingerprint = reference.fingerprint
    where reference.role = 'select'
        and reference.expression is null
),
compared as (
    select distinct
        reference.database,
        reference.fingerprint,
        reference.relation,
        reference.column_name,
        reference.value
    from reference
    join child on child.database = reference.database and child.fingerprint = reference.fingerprint
    where reference.role = 'equality'
        and reference.operator = '='
        and reference.value_kind = 'parameter'
        and reference.expression is null
        and not reference.is_disjunct
),
foreign_key as (
    select
        col.database,
        col.relation,
        col.column_name,
        fkey.referenced_relation,
        col.referenced_column
    from constraint_column as col
    join relation_constraint as fkey
        on fkey.database = col.database
        and fkey.relation = col.relation
        and fkey.constraint_name = col.constraint_name
    where fkey.kind = 'foreign_key'
        -- of a key of several columns the last tells rows apart: the first is often a tenant
        and col.position = length(coalesce(fkey.columns, '')) - length(replace(coalesce(fkey.columns, ''), ',', '')) + 1
),
-- keys by their names, where nobody declared a foreign key: order_id and the id of order or orders
named_key as (
    select
        col.database,
        col.relation,
        col.column_name,
        named.relation as referenced_relation,
        'id' as referenced_column
    -- both names as rows, so that the join is one of equality
    from (
        select database, relation, lower(name) || '_id' as key_name from relation
        union
        select database, relation, lower(rtrim(name, 's')) || '_id' from relation
    ) as named
    join relation_column as col
        on col.database = named.database
        and col.column_name = named.key_name
),
-- which column of the child may be fed by which column of a parent
link as (
    select
        database,
        relation as child_relation,
        column_name as child_column,
        referenced_relation as parent_relation,
        referenced_column as parent_column,
        true as is_declared
    from foreign_key
    union
    select database, referenced_relation, referenced_column, relation, column_name, true
    from foreign_key
    union
    select one.database, one.relation, one.column_name, other.relation, other.column_name, true
    from foreign_key as one
    -- thousands of keys may point to one table: only pairs of columns that statements use
    join (select distinct database, relation, column_name from compared) as used
        on used.database = one.database
        and used.relation = one.relation
        and used.column_name = one.column_name
    join foreign_key as other
        on other.database = one.database
        and other.referenced_relation = one.referenced_relation
        and other.referenced_column = one.referenced_column
        and (other.relation <> one.relation or other.column_name <> one.column_name)
    union
    select database, relation, column_name, referenced_relation, referenced_column, false
    from named_key
    union
    select database, referenced_relation, referenced_column, relation, column_name, false
    from named_key
    union
    -- the same column of the same table: a list, then the details of each
    select database, relation, column_name, relation, column_name, false
    from compared
),
pair as (
    select
        child.database,
        child.fingerprint as child,
        parent.fingerprint as parent,
        compared.relation as child_relation,
        compared.column_name as child_column,
        compared.value,
        link.parent_relation,
        link.parent_column,
        link.is_declared,
        child.calls as child_calls,
        parent.calls as parent_calls,
        parent.rows as parent_rows,
        parent.intervals,
        child.calls::double / parent.rows as calls_per_row,
        child.calls::double / parent.calls as repeats_per_call
    from compared
    join child on child.database = compared.database and child.fingerprint = compared.fingerprint
    join link
        on link.database = compared.database
        and link.child_relation = compared.relation
        and link.child_column = compared.column_name
    join returned
        on returned.database = link.database
        and returned.relation = link.parent_relation
        and returned.column_name in (link.parent_column, '*')
    join parent on parent.database = returned.database and parent.fingerprint = returned.fingerprint
    where parent.fingerprint <> child.fingerprint
        and child.calls >= $least_repeats * parent.calls
        and child.calls between $least_ratio * parent.rows and $most_ratio * parent.rows
),
-- every interval of every pair; one without a row of counters had no calls
course as (
    select
        pair.database,
        pair.child,
        pair.parent,
        coalesce(child_tick.calls, 0) as child_calls,
        coalesce(parent_tick.rows, 0) as parent_rows,
        -- what the child's calls would be if each row of the parent had the same share of them
        coalesce(parent_tick.rows, 0) * pair.calls_per_row as expected_calls,
        -- a page that the interval's end has cut in two
        pair.repeats_per_call as slack
    from (select distinct database, child, parent, calls_per_row, repeats_per_call from pair) as pair
    cross join (select distinct interval from statement_interval) as tick
    left join statement_interval as child_tick
        on child_tick.interval = tick.interval
        and child_tick.database = pair.database
        and child_tick.fingerprint = pair.child
    left join statement_interval as parent_tick
        on parent_tick.interval = tick.interval
        and parent_tick.database = pair.database
        and parent_tick.fingerprint = pair.parent
),
rhythm as (
    select
        database,
        child,
        parent,
        count(*) as intervals,
        stddev_pop(parent_rows) / nullif(avg(parent_rows), 0) as variation,
        case
            when stddev_pop(parent_rows) > 0 and stddev_pop(child_calls) > 0 then corr(child_calls, parent_rows)
        end as correlation,
        sum(greatest(abs(child_calls - expected_calls) - slack, 0)) / nullif(sum(child_calls), 0) as deviation
    from course
    group by database, child, parent
),
judged as (
    select
        pair.*,
        rhythm.correlation,
        rhythm.deviation,
        coalesce(
            rhythm.intervals >= $least_intervals
            and (
                (
                    rhythm.deviation <= $most_deviation
                    and rhythm.correlation >= case
                        when rhythm.variation >= $least_variation then $least_correlation
                        else $least_correlation_steady
                    end
                )
                or (
                    rhythm.variation >= $least_variation
                    and rhythm.deviation <= $most_deviation_unseen
                    and pair.is_declared
                    and pair.calls_per_row between $least_ratio_unseen and $most_ratio_unseen
                )
            ),
            false
        ) as is_confirmed,
        -- the load came in waves and the child did not follow
        coalesce(rhythm.intervals >= $least_intervals and rhythm.variation >= $least_variation, false) as is_telling
    from pair
    left join rhythm
        on rhythm.database = pair.database and rhythm.child = pair.child and rhythm.parent = pair.parent
),
best as (
    select
        judged.*,
        row_number() over (
            partition by database, child
            order by
                is_confirmed desc,
                coalesce(deviation, 0) + abs(ln(calls_per_row)),
                is_declared desc,
                parent,
                parent_column
        ) as rank
    from judged
    where is_confirmed
        -- otherwise it is a suspicion, and wants a declared key and sums that agree closely
        or (
            not is_telling
            and is_declared
            and calls_per_row between $least_ratio_unseen and $most_ratio_unseen
        )
),
worded as (
    select
        best.*,
        workload.mean_ms,
        workload.calls_per_day,
        workload.text as child_text,
        parent_text.text as parent_text,
        shape.has_limit or shape.has_aggregate or shape.has_group_by or shape.has_distinct
            or shape.has_order_by or shape.has_set_operation or shape.subqueries > 0 as is_per_row,
        -- only names without special characters go into a pattern
        not statement_text.is_truncated
            and regexp_matches(best.child_column, '^[a-z_][a-z0-9_]*$')
            and regexp_matches(best.value, '^[$][0-9]+$') as is_plain,
        '(' || best.child_column || '"?\s*=\s*)[$]' || substr(best.value, 2) || '([^0-9]|$)' as pattern,
        col.type
    from best
    join workload on workload.database = best.database and workload.fingerprint = best.child
    join statement_text on statement_text.fingerprint = best.child
    join statement_text as parent_text on parent_text.fingerprint = best.parent
    join shape on shape.fingerprint = best.child
    left join relation_column as col
        on col.database = best.database
        and col.relation = best.child_relation
        and col.column_name = best.child_column
    where best.rank = 1
)

select
    database,
    'fingerprint:' || child as subject,
    'fingerprint:' || child as root,
    case when is_confirmed then 'warning' else 'info' end as severity,
    child as fingerprint,
    greatest(calls_per_day * (1 - parent_calls::double / child_calls), 0) * mean_ms as impact_ms_per_day,
    greatest(calls_per_day * (1 - parent_calls::double / child_calls), 0) * least(mean_ms, $lookup_ms) * $low_share
        as impact_low_ms_per_day,
    child_relation as relation,
    child_relation || '.' || child_column || ' = ' || parent_relation || '.' || parent_column as link,
    case
        when is_confirmed then 'seen over ' || intervals || ' intervals'
        when intervals > 0 then 'a suspicion: the load was too steady to tell it from chance; watch for longer'
        else 'a suspicion from cumulative counters: `queryfit audit --for 1m` confirms it or clears it'
    end as seen,
    repeats_per_call,
    calls_per_row as child_calls_per_parent_row,
    correlation,
    deviation as deviation_share,
    child_calls,
    parent_calls,
    parent_rows,
    calls_per_day * (1 - parent_calls::double / child_calls) as round_trips_per_day,
    calls_per_day,
    mean_ms,
    child_text as text,
    parent as parent_fingerprint,
    parent_text,
    parent_relation,
    case
        when is_plain and regexp_matches(child_text, pattern) and is_per_row then
            'one call for all rows of the parent; the inner statement still runs for each, without the round trips'
        when is_plain and regexp_matches(child_text, pattern) then
            'one call for all rows of the parent: bind their keys as one array, return ' || child_column
            || ' too, and hand the rows out by it'
        else 'one call for all rows of the parent: collect the keys and change the condition on this column'
    end as advice,
    case
        when is_plain and regexp_matches(child_text, pattern) and is_per_row then
            'select wanted.key, one.* from unnest(' || value || coalesce('::' || type || '[]', '')
            || ') as wanted (key) cross join lateral ('
            || rtrim(regexp_replace(child_text, pattern, '\1wanted.key\2'), '; ') || ') as one;'
        when is_plain and regexp_matches(child_text, pattern) then
            rtrim(regexp_replace(child_text, pattern, '\1any(' || value || ')\2'), '; ') || ';'
        else '-- select … from ' || child_relation || ' where ' || child_column || ' = any(' || value || ')'
    end as replacement
from worded;

-- example: order items are asked for once an order, seen over intervals at varying load
-- given: evidence
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.order_items', 'item_order', 'foreign_key', 'order_id', 'public.orders');
insert into constraint_column (relation, constraint_name, position, column_name, referenced_column) values
    ('public.order_items', 'item_order', 1, 'order_id', 'id');
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select id, total from orders where customer_id = $1', 'select'),
    ('b2', 'select id, product_id from order_items where order_id = $1', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.orders', 'orders', 'id', 'select', null, null, null),
    ('b2', 'public.order_items', 'order_items', 'order_id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values
    ('a1', 1000, 10000, 1000, 1), ('b2', 10000, 30000, 20000, 2);
insert into statement_interval (interval, interval_ms, fingerprint, calls, rows) values
    (1, 5000, 'a1', 10, 100), (1, 5000, 'b2', 99, 300),
    (2, 5000, 'a1', 40, 400), (2, 5000, 'b2', 401, 1200),
    (3, 5000, 'a1', 5, 50), (3, 5000, 'b2', 50, 150),
    (4, 5000, 'a1', 20, 200), (4, 5000, 'b2', 200, 600),
    (5, 5000, 'a1', 1, 10), (5, 5000, 'b2', 10, 30);
-- finds: fingerprint:b2

-- example: from cumulative counters alone it is a suspicion; the key goes from the order to its customer
-- given: evidence
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.orders', 'order_customer', 'foreign_key', 'customer_id', 'public.customers');
insert into constraint_column (relation, constraint_name, position, column_name, referenced_column) values
    ('public.orders', 'order_customer', 1, 'customer_id', 'id');
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select * from orders where created_at >= $1 limit $2', 'select'),
    ('b2', 'select name from customers where id = $1', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.orders', 'orders', '*', 'select', null, null, null),
    ('b2', 'public.customers', 'customers', 'id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values
    ('a1', 100, 2500, 1000, 1), ('b2', 2490, 2490, 2000, 1);
-- finds: fingerprint:b2

-- example: a list of a table and a lookup by its key agree in number; from sums alone that is chance
-- given: evidence
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select id, name from customers order by id desc limit $1', 'select'),
    ('b2', 'select email from customers where id = $1', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.customers', 'customers', 'id', 'select', null, null, null),
    ('b2', 'public.customers', 'customers', 'id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows) values ('a1', 100, 1000), ('b2', 1000, 1000);
-- finds: nothing

-- example: a session is looked up, then its user: one row each, as often as you like
-- given: evidence
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.sessions', 'session_user', 'foreign_key', 'user_id', 'public.users');
insert into constraint_column (relation, constraint_name, position, column_name, referenced_column) values
    ('public.sessions', 'session_user', 1, 'user_id', 'id');
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select user_id from sessions where token = $1', 'select'),
    ('b2', 'select name from users where id = $1', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.sessions', 'sessions', 'user_id', 'select', null, null, null),
    ('b2', 'public.users', 'users', 'id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values
    ('a1', 100000, 100000, 1000, 0.01), ('b2', 100000, 100000, 1000, 0.01);
insert into statement_interval (interval, interval_ms, fingerprint, calls, rows) values
    (1, 5000, 'a1', 100, 100), (1, 5000, 'b2', 100, 100), (2, 5000, 'a1', 500, 500), (2, 5000, 'b2', 500, 500);
-- finds: nothing

-- example: a health check and a queue poll are called as often as a list returns rows
-- given: evidence
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.jobs', 'job_order', 'foreign_key', 'order_id', 'public.orders');
insert into constraint_column (relation, constraint_name, position, column_name, referenced_column) values
    ('public.jobs', 'job_order', 1, 'order_id', 'id');
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select id from orders where customer_id = $1', 'select'),
    ('b2', 'select $1', 'select'),
    ('c3', 'select id from jobs where state = $1 order by id limit $2 for update skip locked', 'select');
insert into shape (fingerprint, is_skip_locked) values ('a1', false), ('b2', false), ('c3', true);
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.orders', 'orders', 'id', 'select', null, null, null),
    ('c3', 'public.jobs', 'jobs', 'state', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows) values ('a1', 100, 1000), ('b2', 1000, 1000), ('c3', 1000, 1000);
-- finds: nothing

-- example: a lookup beside a list that it has nothing to do with, though the numbers agree
-- given: evidence
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select id, name from products where category_id = $1', 'select'),
    ('b2', 'select name from users where id = $1', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.products', 'products', 'id', 'select', null, null, null),
    ('b2', 'public.users', 'users', 'id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows) values ('a1', 100, 1000), ('b2', 1000, 1000);
-- finds: nothing

-- example: the foreign key links them and the sums agree, but over the intervals they do not follow one another
-- given: evidence
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.orders', 'order_customer', 'foreign_key', 'customer_id', 'public.customers');
insert into constraint_column (relation, constraint_name, position, column_name, referenced_column) values
    ('public.orders', 'order_customer', 1, 'customer_id', 'id');
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select customer_id from orders where created_at >= $1', 'select'),
    ('b2', 'select name from customers where id = $1', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.orders', 'orders', 'customer_id', 'select', null, null, null),
    ('b2', 'public.customers', 'customers', 'id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values
    ('a1', 1000, 10000, 1000, 1), ('b2', 10000, 10000, 2000, 0.2);
insert into statement_interval (interval, interval_ms, fingerprint, calls, rows) values
    (1, 5000, 'a1', 50, 500), (1, 5000, 'b2', 100, 100), (2, 5000, 'b2', 105, 105), (3, 5000, 'b2', 95, 95),
    (4, 5000, 'b2', 100, 100), (5, 5000, 'b2', 100, 100);
-- finds: nothing

-- example: no foreign key is declared, but the names tell, and the child follows the rows in every interval
-- given: evidence
insert into relation (relation, root, name, kind) values ('public.users', 'public.users', 'users', 'table');
insert into relation_column (relation, column_name) values ('public.comment', 'user_id'), ('public.users', 'id');
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select id, user_id from comment where post_id = $1', 'select'),
    ('b2', 'select name from users where id = $1', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.comment', 'comment', 'user_id', 'select', null, null, null),
    ('b2', 'public.users', 'users', 'id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values
    ('a1', 1000, 10000, 1000, 1), ('b2', 10000, 10000, 2000, 0.2);
insert into statement_interval (interval, interval_ms, fingerprint, calls, rows) values
    (1, 5000, 'a1', 10, 100), (1, 5000, 'b2', 99, 99), (2, 5000, 'a1', 40, 400), (2, 5000, 'b2', 401, 401),
    (3, 5000, 'a1', 5, 50), (3, 5000, 'b2', 50, 50), (4, 5000, 'a1', 20, 200), (4, 5000, 'b2', 200, 200),
    (5, 5000, 'a1', 1, 10), (5, 5000, 'b2', 10, 10);
-- finds: fingerprint:b2

-- example: single orders are looked up about as often as lists return rows, each in waves of its own
-- given: evidence
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select id, note from orders where user_id = $1', 'select'),
    ('b2', 'select * from orders where id = $1', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.orders', 'orders', 'id', 'select', null, null, null),
    ('b2', 'public.orders', 'orders', 'id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows, execution_ms, mean_ms) values
    ('a1', 389, 3890, 1000, 1), ('b2', 4310, 4310, 2000, 0.2);
insert into statement_interval (interval, interval_ms, fingerprint, calls, rows) values
    (1, 5000, 'a1', 61, 610), (1, 5000, 'b2', 800, 800), (2, 5000, 'a1', 48, 480), (2, 5000, 'b2', 700, 700),
    (3, 5000, 'a1', 70, 700), (3, 5000, 'b2', 560, 560), (4, 5000, 'a1', 90, 900), (4, 5000, 'b2', 830, 830),
    (5, 5000, 'a1', 55, 550), (5, 5000, 'b2', 640, 640), (6, 5000, 'a1', 65, 650), (6, 5000, 'b2', 780, 780);
-- finds: nothing

-- example: a batch that ran once reads rows and looks each up
-- given: evidence
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.orders', 'order_customer', 'foreign_key', 'customer_id', 'public.customers');
insert into constraint_column (relation, constraint_name, position, column_name, referenced_column) values
    ('public.orders', 'order_customer', 1, 'customer_id', 'id');
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select customer_id from orders where exported = $1', 'select'),
    ('b2', 'select name from customers where id = $1', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.orders', 'orders', 'customer_id', 'select', null, null, null),
    ('b2', 'public.customers', 'customers', 'id', 'equality', '=', '$1', 'parameter');
insert into statement (fingerprint, calls, rows) values ('a1', 1, 5000), ('b2', 5000, 5000);
-- finds: nothing

-- example: the loop is gone: one call with the keys of all rows
-- given: evidence
insert into relation_constraint (relation, constraint_name, kind, columns, referenced_relation) values
    ('public.order_items', 'item_order', 'foreign_key', 'order_id', 'public.orders');
insert into constraint_column (relation, constraint_name, position, column_name, referenced_column) values
    ('public.order_items', 'item_order', 1, 'order_id', 'id');
insert into statement_text (fingerprint, text, kind) values
    ('a1', 'select id from orders where customer_id = $1', 'select'),
    ('b2', 'select id from order_items where order_id = any($1)', 'select');
insert into shape (fingerprint) values ('a1'), ('b2');
insert into reference (fingerprint, relation, alias, column_name, role, operator, value, value_kind) values
    ('a1', 'public.orders', 'orders', 'id', 'select', null, null, null),
    ('b2', 'public.order_items', 'order_items', 'order_id', 'equality', '= any', '$1', 'array');
insert into statement (fingerprint, calls, rows) values ('a1', 1000, 10000), ('b2', 1000, 30000);
-- finds: nothing
