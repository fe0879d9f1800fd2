-- Statement time that touches each table: what is exposed to a fault of the table.
-- source: reference, workload, relation
-- capture: derived
create table relation_use (
    database varchar not null,                  -- database
    relation varchar not null,                  -- relation.root of the tables that the statements name
    statements bigint not null,                 -- statements that name it
    execution_ms_per_day double,                -- their execution time a day; null when the window is unknown
    delete_ms_per_day double                    -- the part of it in DELETE statements
);

insert into relation_use
with named as (
    select distinct
        reference.database,
        coalesce(relation.root, reference.relation) as relation,
        reference.fingerprint
    from reference
    left join relation using (database, relation)
)

select
    named.database,
    named.relation,
    count(*),
    sum(workload.execution_ms_per_day),
    sum(case when workload.kind = 'delete' then workload.execution_ms_per_day else 0 end)
from named
join workload using (database, fingerprint)
group by named.database, named.relation;
