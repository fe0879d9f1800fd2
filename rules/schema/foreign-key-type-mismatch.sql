-- rule: foreign-key-type-mismatch
-- title: Foreign key of another type than the key it points to
-- severity: warning
-- reads: relation, relation_constraint, constraint_column
-- message: {relation}.{column_name} is {type}, but the key {referenced_relation}.{referenced_column} that it points to
--     is {referenced_type}: {consequence}; give both the same type.
-- fix: alter table {relation} alter column {column_sql} type {referenced_type};
-- since: 0.1
--
-- ## Why it matters
-- PostgreSQL accepts a foreign key whenever the two types can be compared. A narrower integer cannot hold every key:
-- inserts fail on the day that the referenced key outgrows it. Types of different families (integer and numeric, char
-- and text, date and timestamp) are compared through a cast, and a cast on the indexed side keeps the index unused.
--
-- ## What to do
-- Change the referencing column. The statement rewrites the table under an ACCESS EXCLUSIVE lock, unless it is small
-- do it by a new column, a trigger and a backfill in batches.
--
-- ## When to leave it
-- The referenced table can never hold more keys than the narrower type has numbers. Pairs that lose nothing, text
-- beside varchar or a wider integer on the referencing side, are not reported.

with pair as (
    select
        col.database,
        col.relation,
        col.constraint_name,
        col.column_name,
        col.type,
        fk.referenced_relation,
        col.referenced_column,
        col.referenced_type,
        case
            when col.base_type in ('text', 'varchar') and col.referenced_base_type in ('text', 'varchar') then null
            when col.base_type = 'int8' and col.referenced_base_type in ('int4', 'int2') then null
            when col.base_type = 'int4' and col.referenced_base_type = 'int2' then null
            when col.base_type in ('int2', 'int4') and col.referenced_base_type in ('int4', 'int8')
                then 'it cannot hold every key, and inserts fail when the keys outgrow it'
            else 'every check and join casts one of them, and an index on the cast side stays unused'
        end as consequence
    from constraint_column as col
    join relation_constraint as fk
        on fk.database = col.database and fk.relation = col.relation and fk.constraint_name = col.constraint_name
    join relation as rel on rel.database = col.database and rel.relation = col.relation
    where fk.kind = 'foreign_key'
        and not fk.is_inherited
        and fk.is_enforced
        and rel.extension is null
        and col.base_type <> col.referenced_base_type
)

select
    database,
    relation || ' (' || column_name || ')' as subject,
    relation,
    column_name,
    type,
    referenced_relation,
    referenced_column,
    referenced_type,
    constraint_name,
    consequence,
    case
        when regexp_matches(column_name, '^[a-z_][a-z0-9_]*$') then column_name
        else '"' || replace(column_name, '"', '""') || '"'
    end as column_sql
from pair
where consequence is not null;

-- example: integer points to bigint
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_constraint (relation, constraint_name, kind, referenced_relation) values
    ('public.orders', 'fk', 'foreign_key', 'public.customers');
insert into constraint_column
    (relation, constraint_name, position, column_name, type, base_type, referenced_type, referenced_base_type) values
    ('public.orders', 'fk', 1, 'customer_id', 'integer', 'int4', 'bigint', 'int8');
-- finds: public.orders (customer_id)

-- example: bigint points to numeric: another family
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_constraint (relation, constraint_name, kind) values ('public.orders', 'fk', 'foreign_key');
insert into constraint_column
    (relation, constraint_name, position, column_name, type, base_type, referenced_type, referenced_base_type) values
    ('public.orders', 'fk', 1, 'customer_id', 'bigint', 'int8', 'numeric(12,0)', 'numeric');
-- finds: public.orders (customer_id)

-- example: the same type, with another length or below a domain; text beside varchar; a wider integer
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_constraint (relation, constraint_name, kind) values
    ('public.orders', 'a', 'foreign_key'), ('public.orders', 'b', 'foreign_key'), ('public.orders', 'c', 'foreign_key'),
    ('public.orders', 'd', 'foreign_key');
insert into constraint_column
    (relation, constraint_name, position, column_name, type, base_type, referenced_type, referenced_base_type) values
    ('public.orders', 'a', 1, 'code', 'character varying(9)', 'varchar', 'character varying(20)', 'varchar'),
    ('public.orders', 'b', 1, 'email', 'public.email', 'text', 'text', 'text'),
    ('public.orders', 'c', 1, 'name', 'text', 'text', 'character varying', 'varchar'),
    ('public.orders', 'd', 1, 'customer_id', 'bigint', 'int8', 'integer', 'int4');
-- finds: nothing

-- example: a partition repeats what its parent says
-- given: evidence
insert into relation (relation, kind) values ('public.log_1', 'table');
insert into relation_constraint (relation, constraint_name, kind, is_inherited) values
    ('public.log_1', 'fk', 'foreign_key', true);
insert into constraint_column
    (relation, constraint_name, position, column_name, type, base_type, referenced_type, referenced_base_type) values
    ('public.log_1', 'fk', 1, 'user_id', 'integer', 'int4', 'bigint', 'int8');
-- finds: nothing
