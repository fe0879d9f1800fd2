-- rule: column-type-rebuilds-index
-- title: Type change that builds indexes anew
-- severity: error
-- reads: migration_effect
-- actions: alter column type
-- message: Changing {column} to {type} leaves the rows of {relation} as they are, but builds indexes over it anew while
--     reads and writes wait{because}; drop those first, and build them concurrently afterwards.
-- since: 0.1
--
-- ## Why it matters
-- The indexes over a column stay only where the new type sorts and compares as the old one did: the same collation and
-- operator class, the same expression and predicate. Otherwise they are built anew under ACCESS EXCLUSIVE.
--
-- ## What to do
-- Drop the index concurrently, change the type, build the index concurrently. Behind a constraint: build the new unique
-- index beforehand where that is possible, and swap the constraints.
--
-- ## When to leave it
-- When the table is new or small, or the index is (a partial one, for instance).

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name as column,
    effect.type_after as type,
    coalesce(' (' || effect.reason || ')', '') as because
from migration_effect as effect
where
    effect.action = 'alter column type' and effect.is_rewrite is false and effect.is_index_rebuild
    and effect.is_scan is not true
    and not effect.is_new and not effect.is_small and effect.is_present;

-- example: another collation
-- given: migration
create table orders (code text);
create index orders_code on orders (code);
-- next file
alter table orders alter column code type text collate "C";
-- finds: public.orders (code)

-- example: a larger limit keeps the index
-- given: migration
create table orders (code varchar(20));
create index orders_code on orders (code);
-- next file
alter table orders alter column code type varchar(50);
-- finds: nothing

-- example: the index is of another column
-- given: migration
create table orders (code text, state text);
create index orders_state on orders (state);
-- next file
alter table orders alter column code type text collate "C";
-- finds: nothing

-- example: a rewrite builds every index, and another rule says it
-- given: migration
create table orders (id int primary key);
-- next file
alter table orders alter column id type bigint;
-- finds: nothing
