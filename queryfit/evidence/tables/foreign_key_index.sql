-- Indexes that can look up the rows of a foreign key: valid ones that lead with its columns, in any order.
-- source: relation_constraint, constraint_column, relation_index, index_column
-- capture: derived
create table foreign_key_index (
    database varchar not null,                  -- database
    relation varchar not null,                  -- referencing table, schema.name
    constraint_name varchar not null,           -- foreign key, unquoted
    index varchar not null                      -- schema.name of the index
);

insert into foreign_key_index
with width as (
    select
        relation_constraint.database,
        relation_constraint.relation,
        relation_constraint.constraint_name,
        count(*) as columns
    from relation_constraint
    join constraint_column using (database, relation, constraint_name)
    where relation_constraint.kind = 'foreign_key'
    group by all
),
candidate as (
    select
        width.database,
        width.relation,
        width.constraint_name,
        relation_index.index
    from width
    join constraint_column using (database, relation, constraint_name)
    join index_column
        on index_column.database = width.database
        and index_column.relation = width.relation
        and index_column.column_name = constraint_column.column_name
        and index_column.position <= width.columns
        and index_column.is_key
    join relation_index
        on relation_index.database = index_column.database
        and relation_index.index = index_column.index
    where relation_index.is_valid
        and (relation_index.access_method = 'btree' or (relation_index.access_method = 'hash' and width.columns = 1))
        -- a lookup by a key never asks for null, so an index without nulls serves it
        and (
            relation_index.predicate is null
            or replace(replace(relation_index.predicate, '(', ''), ')', '') in
                (constraint_column.column_name || ' IS NOT NULL', '"' || constraint_column.column_name || '" IS NOT NULL')
            and width.columns = 1
        )
    group by width.database, width.relation, width.constraint_name, width.columns, relation_index.index
    having count(distinct constraint_column.column_name) = width.columns
)

select
    database,
    relation,
    constraint_name,
    index
from candidate;
