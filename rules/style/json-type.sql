-- rule: json-type
-- title: json instead of jsonb
-- severity: info
-- reads: migration_effect
-- actions: create column, add column
-- message: {column_name} of {relation} is json: it is parsed on every read, cannot be compared or indexed; use jsonb.
-- since: 0.1
--
-- ## Why it matters
-- `json` keeps the text as it came. It has no equality: `select distinct`, `group by` and `union` over rows with such a
-- column fail. Each access parses the whole text again, and no GIN index can be built on it.
--
-- ## What to do
-- `jsonb`.
--
-- ## When to leave it
-- Spaces, the order of keys or repeated keys have to be kept, as in an audit of what a partner sent.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name
from migration_effect as effect
where effect.action in ('create column', 'add column')
    and effect.is_present
    and effect.relation not like 'pg\_temp.%' escape '\'
    and effect.type_after in ('json', 'json[]');

-- example: in a new table
-- given: migration
create table events (id bigint primary key, payload json not null);
-- finds: public.events (payload)

-- example: a new column
-- given: migration
alter table events add column payload json default '{}';
-- finds: public.events (payload)

-- example: jsonb
-- given: migration
create table events (id bigint primary key, payload jsonb not null, note text);
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (payload json);
-- finds: nothing
