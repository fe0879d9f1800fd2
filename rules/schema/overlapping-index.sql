-- rule: overlapping-index
-- title: Index that is the beginning of another
-- severity: warning
-- reads: relation, relation_index, index_family, index_counter
-- message: {index} ({size_bytes}) on {key_columns} is the beginning of {covering_index} on {covering_columns}, which
--     serves the same lookups: every write to {relation} keeps both; drop the shorter one.
-- fix: drop index {concurrently}{index};
-- undo: {undo_sql};
-- param: max_size_factor = 3 -- in a much larger index a lookup by the prefix reads more pages than it saves
-- param: min_bytes = 8388608 -- below 8 MB the second index costs next to nothing
-- since: 0.1
--
-- ## Why it matters
-- A B-tree on (a, b) is ordered by a first, so it answers whatever an index on (a) does: equality, ranges, order and
-- the check of a foreign key. The shorter index takes writes, vacuum time and cache for little more than a narrower
-- entry.
--
-- ## What to do
-- Drop the shorter one concurrently, then watch the statements that used it for a day.
--
-- ## When to leave it
-- Lookups by the prefix are very hot and the longer index is much wider, or the added column of the longer one changes
-- so often that it bloats. A unique index forbids something, so it is never reported.

with whole as (
    -- the index of a partitioned table is as large as all of its parts
    select
        family.database,
        family.top_index as index,
        sum(idx.size_bytes)::bigint as size_bytes,
        sum(counter.scans) as scans
    from index_family as family
    join relation_index as idx on idx.database = family.database and idx.index = family.index
    left join index_counter as counter on counter.database = family.database and counter.index = family.index
    group by family.database, family.top_index
),
candidate as (
    select
        short.*,
        short_size.size_bytes as whole_bytes,
        rel.kind,
        long.index as covering_index,
        long.key_columns as covering_columns,
        long_size.size_bytes as covering_bytes,
        long.definition as covering_definition,
        row_number() over (
            partition by short.database, short.index
            order by length(long.key_signature) desc, long.index
        ) as rank
    from relation_index as short
    join relation_index as long
        on long.database = short.database
        and long.relation = short.relation
        and long.access_method = short.access_method
        and coalesce(long.predicate, '') = coalesce(short.predicate, '')
        and starts_with(long.key_signature, short.key_signature || ', ')
    join relation as rel on rel.database = short.database and rel.relation = short.relation
    join whole as short_size on short_size.database = short.database and short_size.index = short.index
    join whole as long_size on long_size.database = long.database and long_size.index = long.index
    where short.access_method = 'btree'
        and long.is_valid
        and short.is_valid
        and not short.is_unique
        and not short.is_exclusion
        and short.constraint_name is null
        and not short.is_referenced
        and not short.is_replica_identity
        and not short.is_clustered
        and short.extension is null
        and rel.extension is null
        -- with included columns it answers queries from the index alone that the longer one may not
        and short.included_columns is null
        -- a partition's index follows its parent's: report it there once
        and short.parent_index is null
        and short_size.size_bytes >= $min_bytes
        and long_size.size_bytes <= $max_size_factor * short_size.size_bytes
        -- where only the shorter one is scanned, the longer one is the one to drop, once its counters are old enough
        and (
            long.is_unique or long.constraint_name is not null
            or coalesce(long_size.scans, 1) > 0 or coalesce(short_size.scans, 0) = 0
        )
)

select
    database,
    index as subject,
    index as root,
    index,
    relation,
    key_columns,
    covering_index,
    covering_columns,
    whole_bytes as size_bytes,
    covering_bytes,
    definition,
    covering_definition,
    replace(definition, ' ON ONLY ', ' ON ') as undo_sql,
    -- a partitioned index cannot be dropped concurrently
    case when kind = 'partitioned_table' then '' else 'concurrently ' end as concurrently
from candidate
where rank = 1;

-- example: (customer_id) beside (customer_id, created_at)
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, key_signature, size_bytes) values
    ('public.orders', 'public.a', 'customer_id 10 0 al', 20000000),
    ('public.orders', 'public.ab', 'customer_id 10 0 al, created_at 11 0 al', 30000000);
-- finds: public.a

-- example: three that nest: both shorter ones go, each once
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, key_signature, size_bytes) values
    ('public.orders', 'public.a', 'a 10 0 al', 20000000),
    ('public.orders', 'public.ab', 'a 10 0 al, b 10 0 al', 25000000),
    ('public.orders', 'public.abc', 'a 10 0 al, b 10 0 al, c 10 0 al', 30000000);
-- finds: public.a
-- finds: public.ab

-- example: another direction, class, predicate or method, and a column that only begins alike
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, key_signature, predicate, access_method, size_bytes) values
    ('public.orders', 'public.a', 'name 10 100 al', null, 'btree', 20000000),
    ('public.orders', 'public.b', 'name 10 100 df, id 11 0 al', null, 'btree', 20000000),
    ('public.orders', 'public.c', 'name 99 100 al, id 11 0 al', null, 'btree', 20000000),
    ('public.orders', 'public.d', 'name 10 100 al, id 11 0 al', 'paid', 'btree', 20000000),
    ('public.orders', 'public.e', 'name 10 100 al, id 11 0 al', null, 'gist', 20000000),
    ('public.orders', 'public.f', 'name 10 100 al_x', null, 'btree', 20000000);
-- finds: nothing

-- example: a unique one, one that includes columns, one behind a constraint, and one of a much wider index stay
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index
    (relation, index, key_signature, is_unique, included_columns, constraint_name, size_bytes) values
    ('public.orders', 'public.a', 'a 1 0 al', true, null, null, 20000000),
    ('public.orders', 'public.ax', 'a 1 0 al, x 1 0 al', false, null, null, 30000000),
    ('public.orders', 'public.b', 'b 1 0 al', false, 'note', null, 20000000),
    ('public.orders', 'public.bx', 'b 1 0 al, x 1 0 al', false, null, null, 30000000),
    ('public.orders', 'public.c', 'c 1 0 al', false, null, 'c', 20000000),
    ('public.orders', 'public.cx', 'c 1 0 al, x 1 0 al', false, null, null, 30000000),
    ('public.orders', 'public.d', 'd 1 0 al', false, null, null, 20000000),
    ('public.orders', 'public.dx', 'd 1 0 al, x 1 0 al', false, null, null, 70000000);
-- finds: nothing

-- example: small ones are left alone, and an invalid longer one serves nothing
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, key_signature, is_valid, size_bytes) values
    ('public.orders', 'public.a', 'a 1 0 al', true, 8000000),
    ('public.orders', 'public.ax', 'a 1 0 al, x 1 0 al', true, 8000000),
    ('public.orders', 'public.b', 'b 1 0 al', true, 20000000),
    ('public.orders', 'public.bx', 'b 1 0 al, x 1 0 al', false, 20000000);
-- finds: nothing

-- example: only the shorter one is used: then the longer one is too much
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, key_signature, size_bytes) values
    ('public.orders', 'public.a', 'a 1 0 al', 20000000),
    ('public.orders', 'public.ab', 'a 1 0 al, b 1 0 al', 30000000);
insert into index_counter (relation, index, scans) values
    ('public.orders', 'public.a', 9000), ('public.orders', 'public.ab', 0);
-- finds: nothing
