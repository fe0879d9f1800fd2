-- rule: name-needs-quoting
-- title: Name that has to be quoted in every statement
-- severity: info
-- reads: migration_effect
-- message: {subject} has to be written in double quotes wherever it is used; use lower case, digits and underscores,
--     and no keyword.
-- since: 0.1
--
-- ## Why it matters
-- Unquoted names are folded to lower case: `select userId` looks for `userid`. Whoever forgets the quotes, in psql, a
-- report or a driver, gets "does not exist"; with a keyword a syntax error, or something else (`select user` is the
-- session's user).
--
-- ## What to do
-- `snake_case` in lower case; for keywords a plural or a more exact word (`users`, `sort_order`).
--
-- ## When to leave it
-- An object mapper writes all statements, and nobody else ever reads the tables.

select
    min(effect.effect) as effect,
    case
        when effect.action in ('create column', 'add column', 'rename column')
            then effect.relation || ' ("' || replace(coalesce(effect.new_column, effect.column_name), '"', '""') || '")'
        when effect.action like 'rename %' then effect.new_relation
        else effect.relation
    end as subject
from (
    select
        effect,
        action,
        relation,
        column_name,
        new_relation,
        case when action = 'rename column' then new_name end as new_column,
        is_present
    from migration_effect
    where action in (
        'create table', 'create table as', 'create view', 'create materialized view', 'create sequence',
        'create schema', 'create column', 'add column', 'rename column', 'rename table', 'rename view', 'rename schema'
    )
) as effect
where effect.is_present
    and effect.relation not like 'pg\_temp.%' escape '\'
    and case
        when effect.action in ('create column', 'add column', 'rename column')
            then not regexp_matches(coalesce(effect.new_column, effect.column_name), '^[a-z_][a-z0-9_]*$')
                -- reserved for everything, by SQL/2016 and PostgreSQL
                or coalesce(effect.new_column, effect.column_name) in (
                    'all', 'analyse', 'analyze', 'and', 'any', 'array', 'as', 'asc', 'asymmetric', 'both', 'case',
                    'cast', 'check', 'collate', 'column', 'constraint', 'create', 'current_catalog', 'current_date',
                    'current_role', 'current_time', 'current_timestamp', 'current_user', 'default', 'deferrable',
                    'desc', 'distinct', 'do', 'else', 'end', 'except', 'false', 'fetch', 'for', 'foreign', 'from', 'grant',
                    'group', 'having', 'in', 'initially', 'intersect', 'into', 'lateral', 'leading', 'limit',
                    'localtime', 'localtimestamp', 'not', 'null', 'offset', 'on', 'only', 'or', 'order', 'placing',
                    'primary', 'references', 'returning', 'select', 'session_user', 'some', 'symmetric', 'system_user',
                    'table', 'then', 'to', 'trailing', 'true', 'union', 'unique', 'user', 'using', 'variadic', 'when',
                    'where', 'window', 'with'
                )
        -- names of relations are quoted already where SQL needs it
        when effect.action like 'rename %' then effect.new_relation like '%."%' or effect.new_relation like '"%"'
        when effect.action = 'create schema' then effect.relation like '"%'
        else effect.relation like '%."%'
    end
group by 2;

-- example: a table and columns in mixed case
-- given: migration
create table "User" ("userId" bigint primary key, name text);
-- finds: public."User"
-- finds: public."User" ("userId")

-- example: keywords
-- given: migration
create table "order" (id bigint primary key, "user" text);
-- finds: public."order"
-- finds: public."order" ("user")

-- example: a new column, and new names
-- given: migration
alter table orders add column "Total" numeric;
alter table orders rename column note to "Note";
alter table items rename to "Items";
-- finds: public.orders ("Total")
-- finds: public.orders ("Note")
-- finds: public."Items"

-- example: lower case, and unquoted upper case, which is folded
-- given: migration
create table Orders (Id bigint primary key, note_2 text);
alter table orders add column Total numeric;
-- finds: nothing

-- example: an old name is used
-- given: migration
alter table "User" add column name text;
create index on "User" (name);
-- finds: nothing
