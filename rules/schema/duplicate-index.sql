-- rule: duplicate-index
-- title: Two indexes that are the same
-- severity: warning
-- proof: planned
-- reads: relation, relation_index, index_family, index_twin
-- message: {index} ({size_bytes}) is the same index as {kept_index}: every write to {relation} keeps both; drop one.
-- fix: drop index {concurrently}{index};
-- undo: {undo_sql};
-- since: 0.1
--
-- ## Why it matters
-- Every insert, and every update that is not HOT, writes to both indexes, vacuum cleans both, and both want room in
-- shared buffers. No plan gets better for it: the planner can use either of them for all that the other could do.
--
-- ## What to do
-- Drop the one that nothing else depends on. `drop index concurrently` does not stop reads or writes.
--
-- ## When to leave it
-- While an index is being rebuilt by hand (`create index concurrently` and then a drop of the old one), both are there
-- for a while.

with whole as (
    -- the index of a partitioned table is as large as all of its parts
    select family.database, family.top_index as index, sum(idx.size_bytes)::bigint as size_bytes
    from index_family as family
    join relation_index as idx on idx.database = family.database and idx.index = family.index
    group by family.database, family.top_index
)

select
    redundant.database,
    redundant.index as subject,
    redundant.index as root,
    redundant.index,
    redundant.relation,
    kept.index as kept_index,
    whole.size_bytes,
    redundant.definition,
    kept.definition as kept_definition,
    replace(redundant.definition, ' ON ONLY ', ' ON ') as undo_sql,
    -- a partitioned index cannot be dropped concurrently
    case when rel.kind = 'partitioned_table' then '' else 'concurrently ' end as concurrently
from index_twin as twin
join relation_index as redundant on redundant.database = twin.database and redundant.index = twin.index
join relation_index as kept on kept.database = twin.database and kept.index = twin.kept_index
join relation as rel on rel.database = redundant.database and rel.relation = redundant.relation
join whole on whole.database = twin.database and whole.index = twin.index;

-- example: the same column twice
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, index_oid, key_columns, key_signature) values
    ('public.orders', 'public.orders_a', 1, 'customer_id', 'customer_id int8_ops'),
    ('public.orders', 'public.orders_b', 2, 'customer_id', 'customer_id int8_ops');
-- finds: public.orders_b

-- example: a plain index beside a unique constraint goes, not the constraint's
-- given: evidence
insert into relation (relation, kind) values ('public.users', 'table');
insert into relation_index (relation, index, index_oid, key_signature, is_unique, constraint_name) values
    ('public.users', 'public.users_email', 1, 'email text_ops', false, null),
    ('public.users', 'public.users_email_key', 2, 'email text_ops', true, 'users_email_key');
-- finds: public.users_email

-- example: another direction, another predicate or another access method is another index
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_index (relation, index, index_oid, key_signature, predicate, access_method) values
    ('public.orders', 'public.a', 1, 'created_at timestamptz_ops', null, 'btree'),
    ('public.orders', 'public.b', 2, 'created_at timestamptz_ops desc', null, 'btree'),
    ('public.orders', 'public.c', 3, 'created_at timestamptz_ops', 'paid', 'btree'),
    ('public.orders', 'public.d', 4, 'created_at timestamptz_ops', null, 'brin');
-- finds: nothing

-- example: two unique constraints on the same column are two promises; neither goes unasked
-- given: evidence
insert into relation (relation, kind) values ('public.users', 'table');
insert into relation_index (relation, index, index_oid, key_signature, is_unique, constraint_name) values
    ('public.users', 'public.a', 1, 'email text_ops', true, 'a'),
    ('public.users', 'public.b', 2, 'email text_ops', true, 'b');
-- finds: nothing
