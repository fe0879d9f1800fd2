-- Conditions that a B-tree index could answer, one row per statement, table in it, and column or expression, with the
-- share of the table that one value keeps, and the best index there is for all conditions on that table.
-- source: reference, relation_extent, relation_column, column_statistics, relation_index, index_column
-- capture: derived
create table statement_filter (
    database varchar not null,                  -- database
    fingerprint varchar not null,               -- statement_text.fingerprint
    block integer not null,                     -- reference.block
    alias varchar not null,                     -- reference.alias
    relation varchar not null,                  -- relation as the statement names it
    root varchar not null,                      -- its partitioned ancestor, or itself
    column_name varchar not null,               -- column, unquoted
    key varchar not null,                       -- what an index holds for it: the column, quoted where SQL needs it, or the expression
    plain_key varchar not null,                 -- key without brackets, quotes and casts to text: to compare with other keys
    kind varchar not null,                      -- equality, range, join
    is_expression boolean not null,             -- key is an expression
    has_statistics boolean not null,            -- pg_stats of the column were read
    share double,                               -- share of the table's rows that one value keeps, 0 to 1; null when unknown
    correlation double,                         -- column_statistics.correlation
    other_relation varchar,                     -- of a join: the other side
    other_rows double,                          -- of a join: rows that the other side has after its own equality and range conditions; null when unknown
    rows double,                                -- relation_extent.rows
    pages double not null,                      -- relation_extent.pages
    part_pages double not null,                 -- relation_extent.part_pages
    own_share double,                           -- share of the rows that all equality and range conditions on this table keep; null when one is unknown, 1 when there are none
    index varchar,                              -- valid index that leads with some of the conditions and keeps least; null for none
    index_share double,                         -- share of the rows that it leaves to read; null when unknown
    join_index varchar                          -- of a join: valid index that answers this key, alone or after equality conditions
);

insert into statement_filter
with usable as (
    select
        reference.database,
        reference.fingerprint,
        reference.block,
        reference.alias,
        reference.relation,
        extent.root,
        reference.column_name,
        reference.expression is not null as is_expression,
        case
            when reference.expression is not null then reference.expression
            -- quoted as SQL needs it: lower case letters, digits and _ stand alone
            when translate(reference.column_name, 'abcdefghijklmnopqrstuvwxyz0123456789_', '') = ''
                and translate(left(reference.column_name, 1), '0123456789', '') <> ''
                then reference.column_name
            else '"' || replace(reference.column_name, '"', '""') || '"'
        end as key,
        reference.role,
        reference.operator,
        reference.value_kind,
        reference.other_relation,
        col.base_type,
        extent.rows,
        extent.pages,
        extent.part_pages,
        extent.is_partitioned
    from reference
    join relation_extent as extent
        on extent.database = reference.database and extent.relation = reference.relation
    join relation_column as col
        on col.database = reference.database
        and col.relation = reference.relation
        and col.column_name = reference.column_name
    where reference.role in ('equality', 'range', 'join')
        and not reference.is_disjunct
        and reference.cast_type is null
        and coalesce(reference.operator, '=') in ('=', 'in', 'any', '= any', 'between', '<', '<=', '>', '>=')
        and (reference.role <> 'equality' or coalesce(reference.value_kind, 'parameter') <> 'column')
        and (reference.role <> 'join' or reference.other_relation is not null)
        -- other expressions may be volatile or of unknown spread
        and (
            reference.expression is null
            or (
                reference.role = 'equality'
                and reference.expression in (
                    'lower(' || reference.column_name || ')',
                    'upper(' || reference.column_name || ')',
                    'btrim(' || reference.column_name || ')',
                    'md5(' || reference.column_name || ')'
                )
            )
        )
        -- types that have no B-tree order, or values that may not fit into an index
        and col.base_type not in (
            'json', 'jsonb', 'xml', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle', 'xid', 'cid',
            'aclitem', 'tsvector', 'tsquery', 'hstore'
        )
        and col.type_category not in ('A', 'R')
),
condition as (
    select
        database,
        fingerprint,
        block,
        alias,
        relation,
        root,
        column_name,
        key,
        replace(replace(translate(key, '()" ', ''), '::text', ''), '::charactervarying', '') as plain_key,
        case
            when bool_or(role = 'equality') then 'equality'
            when bool_or(role = 'range') then 'range'
            else 'join'
        end as kind,
        bool_or(is_expression) as is_expression,
        bool_or(
            coalesce(value_kind, '') in ('list', 'array') or coalesce(operator, '=') in ('in', 'any', '= any')
        ) as is_list,
        bool_or(role = 'range' and operator in ('>', '>=', 'between')) as has_least,
        bool_or(role = 'range' and operator in ('<', '<=', 'between')) as has_most,
        max(other_relation) filter (where role = 'join') as other_relation,
        max(rows) as rows,
        max(pages) as pages,
        max(part_pages) as part_pages
    from usable
    group by database, fingerprint, block, alias, relation, root, column_name, key
),
-- a partitioned table that was never analyzed itself has the statistics of its partitions
spread as (
    select
        stats.database,
        extent.root,
        stats.column_name,
        max(stats.null_fraction) as null_fraction,
        max(coalesce(
            stats.distinct_rows,
            case when stats.distinct_values < 0 then -stats.distinct_values * extent.rows else stats.distinct_values end
        )) as distinct_rows,
        max(stats.average_width_bytes) as average_width_bytes,
        max(stats.correlation) as correlation
    from column_statistics as stats
    join relation_extent as extent on extent.database = stats.database and extent.relation = stats.relation
    group by stats.database, extent.root, stats.column_name
),
estimated as (
    select
        condition.*,
        spread.column_name is not null as has_statistics,
        spread.correlation,
        case
            when condition.rows is null then null
            when condition.kind = 'range' and has_least and has_most then 0.02
            when condition.kind = 'range' then 0.33
            when spread.distinct_rows is null then null
            else least(
                1,
                greatest(1 - coalesce(spread.null_fraction, 0), 0.000001) / greatest(spread.distinct_rows, 1)
                    -- the length of a list is not in the text: ten is a page
                    * case when is_list then 10 else 1 end
            )
        end as share
    from condition
    left join spread  -- LEFT JOIN: statistics may be unreadable
        on spread.database = condition.database
        and spread.root = condition.root
        and spread.column_name = condition.column_name
    where coalesce(spread.average_width_bytes, 0) <= 500
),
scope as (
    select
        database,
        fingerprint,
        block,
        alias,
        root,
        max(rows) as rows,
        case
            when count(*) filter (where kind <> 'join' and share is null) > 0 then null
            else coalesce(exp(sum(ln(greatest(share, 1e-12))) filter (where kind <> 'join')), 1)
        end as own_share
    from estimated
    group by database, fingerprint, block, alias, root
),
-- rows that the least filtered use of a relation in a statement has left
remaining as (
    select database, fingerprint, root, max(rows * own_share) as rows
    from scope
    group by database, fingerprint, root
),
index_key as (
    select
        col.database,
        extent.root,
        col.index,
        col.position,
        idx.access_method,
        idx.predicate,
        replace(
            replace(translate(coalesce(col.column_name, col.expression), '()" ', ''), '::text', ''),
            '::charactervarying', ''
        ) as plain_key
    from index_column as col
    join relation_index as idx on idx.database = col.database and idx.index = col.index
    join relation_extent as extent on extent.database = idx.database and extent.relation = idx.relation
    where col.is_key
        and idx.is_valid
        and idx.is_ready
),
leader as (
    select distinct
        estimated.database,
        estimated.fingerprint,
        estimated.block,
        estimated.alias,
        estimated.root,
        index_key.index,
        index_key.predicate
    from estimated
    join index_key
        on index_key.database = estimated.database
        and index_key.root = estimated.root
        and index_key.plain_key = estimated.plain_key
        and index_key.position = 1
        and (index_key.access_method <> 'hash' or estimated.kind <> 'range')
),
-- a partial index counts where its one condition is about a column that this statement also filters by: the value is
-- not in the text, and the index was made for some statement
implied as (
    select distinct leader.database, leader.fingerprint, leader.block, leader.alias, leader.root, leader.index
    from leader
    left join reference
        on leader.predicate is not null
        and reference.database = leader.database
        and reference.fingerprint = leader.fingerprint
        and reference.block = leader.block
        and reference.alias = leader.alias
        and reference.role in ('equality', 'range', 'join', 'null_test', 'other')
        and not reference.is_disjunct
    where leader.predicate is null
        or (
            contains(
                ' ' || translate(leader.predicate, '()":,=<>', '         ') || ' ',
                ' ' || reference.column_name || ' '
            )
            and not contains(leader.predicate, ' AND ')
            and (contains(leader.predicate, 'IS NOT NULL') or reference.role <> 'join')
        )
),
walk as (
    select
        implied.database,
        implied.fingerprint,
        implied.block,
        implied.alias,
        implied.root,
        implied.index,
        index_key.position,
        estimated.plain_key,
        estimated.kind,
        estimated.share,
        -- a key column narrows the scan only behind columns that are compared for equality
        coalesce(
            bool_and(coalesce(estimated.kind in ('equality', 'join'), false)) over (
                partition by
                    implied.database, implied.fingerprint, implied.block, implied.alias, implied.root, implied.index
                order by index_key.position
                rows between unbounded preceding and 1 preceding
            ),
            true
        ) as is_reached
    from implied
    join index_key
        on index_key.database = implied.database
        and index_key.root = implied.root
        and index_key.index = implied.index
    left join estimated  -- LEFT JOIN: a later key column may be in no condition
        on estimated.database = implied.database
        and estimated.fingerprint = implied.fingerprint
        and estimated.block = implied.block
        and estimated.alias = implied.alias
        and estimated.root = implied.root
        and estimated.plain_key = index_key.plain_key
),
covering as (
    select
        database,
        fingerprint,
        block,
        alias,
        root,
        index,
        case
            when count(*) filter (where share is null) > 0 then null
            else exp(sum(ln(greatest(share, 1e-12))))
        end as share,
        bool_and(kind <> 'join') as is_own
    from walk
    where is_reached and kind is not null
    group by database, fingerprint, block, alias, root, index
),
best as (
    select
        covering.*,
        row_number() over (
            partition by database, fingerprint, block, alias, root order by share nulls last, index
        ) as rank
    from covering
    where is_own
),
joined as (
    select database, fingerprint, block, alias, root, plain_key, min(index) as index
    from walk
    where is_reached and kind = 'join'
    group by database, fingerprint, block, alias, root, plain_key
)
select
    estimated.database,
    estimated.fingerprint,
    estimated.block,
    estimated.alias,
    estimated.relation,
    estimated.root,
    estimated.column_name,
    estimated.key,
    estimated.plain_key,
    estimated.kind,
    estimated.is_expression,
    estimated.has_statistics,
    estimated.share,
    estimated.correlation,
    estimated.other_relation,
    remaining.rows,
    estimated.rows,
    estimated.pages,
    estimated.part_pages,
    scope.own_share,
    best.index,
    best.share,
    joined.index
from estimated
join scope
    on scope.database = estimated.database
    and scope.fingerprint = estimated.fingerprint
    and scope.block = estimated.block
    and scope.alias = estimated.alias
    and scope.root = estimated.root
left join best
    on best.database = estimated.database
    and best.fingerprint = estimated.fingerprint
    and best.block = estimated.block
    and best.alias = estimated.alias
    and best.root = estimated.root
    and best.rank = 1
left join joined
    on estimated.kind = 'join'
    and joined.database = estimated.database
    and joined.fingerprint = estimated.fingerprint
    and joined.block = estimated.block
    and joined.alias = estimated.alias
    and joined.root = estimated.root
    and joined.plain_key = estimated.plain_key
left join relation_extent as other
    on other.database = estimated.database and other.relation = estimated.other_relation
left join remaining
    on remaining.database = estimated.database
    and remaining.fingerprint = estimated.fingerprint
    and remaining.root = other.root;
