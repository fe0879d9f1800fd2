-- Indexes that another index of the same table makes redundant, because it is the same, with the one to keep.
-- source: relation, relation_index
-- capture: derived
create table index_twin (
    database varchar not null,                  -- database
    index varchar not null,                     -- schema.name of the index that can go
    kept_index varchar not null                 -- schema.name of the one that does all that it does
);

insert into index_twin
with candidate as (
    select
        idx.*,
        -- the one to keep: what a constraint, a foreign key or the replica identity needs, then the oldest
        row_number() over (
            partition by
                idx.database, idx.relation, idx.access_method, idx.key_signature,
                coalesce(idx.included_columns, ''), coalesce(idx.predicate, '')
            order by
                idx.is_primary desc, idx.constraint_name is not null desc, idx.is_referenced desc,
                idx.is_replica_identity desc, idx.is_clustered desc, idx.is_unique desc, idx.index_oid
        ) as rank
    from relation_index as idx
    join relation as rel on rel.database = idx.database and rel.relation = idx.relation
    where idx.is_valid
        and idx.extension is null
        -- a partition's index follows its parent's: it counts there once
        and idx.parent_index is null
)

select
    redundant.database,
    redundant.index,
    kept.index
from candidate as redundant
join candidate as kept
    on kept.database = redundant.database
    and kept.relation = redundant.relation
    and kept.access_method = redundant.access_method
    and kept.key_signature = redundant.key_signature
    and coalesce(kept.included_columns, '') = coalesce(redundant.included_columns, '')
    and coalesce(kept.predicate, '') = coalesce(redundant.predicate, '')
    and kept.rank = 1
where redundant.rank > 1
    and redundant.constraint_name is null
    and not redundant.is_referenced
    and not redundant.is_replica_identity
    -- a unique index also forbids: a plain twin cannot replace it
    and (kept.is_unique or not redundant.is_unique)
    and (kept.is_nulls_distinct = redundant.is_nulls_distinct or not redundant.is_unique);
