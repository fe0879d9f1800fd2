-- Which index each index belongs to: the one of the top-most partitioned table, or itself.
-- source: relation_index
-- capture: derived
create table index_family (
    database varchar not null,                  -- database
    index varchar not null,                     -- schema.name of the index
    top_index varchar not null,                 -- index of the top-most table that it is attached to; itself when to none
    top_relation varchar not null               -- table of that index, schema.name
);

insert into index_family
with recursive family as (
    select database, index, index as top_index, relation as top_relation
    from relation_index
    where parent_index is null
    union all
    select child.database, child.index, family.top_index, family.top_relation
    from relation_index as child
    join family on family.database = child.database and family.index = child.parent_index
)

select database, index, top_index, top_relation
from family;
