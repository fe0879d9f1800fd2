-- rule: timestamp-without-time-zone
-- title: A time that does not say in which zone
-- severity: info
-- reads: relation, relation_column
-- message: {subject} is timestamp without time zone: what it means depends on who wrote it; use timestamptz.
-- param: exempt_schema = "import" -- rows there are kept as they were delivered
-- since: 0.1
--
-- ## Why it matters
-- `timestamp` keeps the digits and forgets the zone. Two services in two zones, or one across a change to summer time,
-- write different instants that look the same.
--
-- ## What to do
-- Use `timestamptz` in new tables. Changing an old column rewrites the table, except where the session's time zone is UTC.
--
-- ## When to leave it
-- The value is a local time on purpose, such as opening hours.

select
    col.database,
    col.relation || ' (' || col.column_name || ')' as subject,
    col.relation,
    col.column_name
from relation_column as col
join relation on relation.database = col.database and relation.relation = col.relation
where col.base_type = 'timestamp'
    and relation.kind in ('table', 'partitioned_table')
    -- a partition has its parent's columns
    and not relation.is_partition
    and relation.extension is null
    and relation.schema <> $exempt_schema;

-- example: a creation time without a zone
-- given: evidence
insert into relation (relation, schema, kind) values ('public.orders', 'public', 'table');
insert into relation_column (relation, column_name, base_type) values ('public.orders', 'created_at', 'timestamp');
-- finds: public.orders (created_at)

-- example: with a zone
-- given: evidence
insert into relation (relation, schema, kind) values ('public.orders', 'public', 'table');
insert into relation_column (relation, column_name, base_type) values ('public.orders', 'created_at', 'timestamptz');
-- finds: nothing

-- example: a partition says nothing that its parent does not say, and imports are exempt
-- given: evidence
insert into relation (relation, schema, kind, is_partition) values
    ('public.orders_2026', 'public', 'table', true),
    ('import.orders', 'import', 'table', false);
insert into relation_column (relation, column_name, base_type) values
    ('public.orders_2026', 'created_at', 'timestamp'),
    ('import.orders', 'created_at', 'timestamp');
-- finds: nothing
