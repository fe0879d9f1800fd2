-- rule: char-type
-- title: Column of type char(n)
-- severity: info
-- reads: migration_effect
-- actions: create column, add column
-- message: {column_name} of {relation} is {type}: it is padded with blanks that comparisons ignore and patterns do not;
--     use text.
-- since: 0.1
--
-- ## Why it matters
-- `char(n)` fills values up with blanks, which are stored, sent to clients, counted by LIKE and regular expressions,
-- and dropped again when it is cast to text. It is neither smaller nor faster than text.
--
-- ## What to do
-- `text`, with `check (length(code) = 2)` where the length is fixed.
--
-- ## When to leave it
-- Another system compares byte for byte with padded values. The one-byte type `"char"` is another type.

select
    effect.effect,
    effect.relation || ' (' || effect.column_name || ')' as subject,
    effect.relation,
    effect.column_name,
    effect.type_after as type
from migration_effect as effect
where effect.action in ('create column', 'add column')
    and effect.is_present
    and effect.relation not like 'pg\_temp.%' escape '\'
    and regexp_matches(effect.type_after, '^(character|bpchar)(\(|\[|$)');

-- example: in a new table
-- given: migration
create table countries (code char(2) primary key, flag char);
-- finds: public.countries (code)
-- finds: public.countries (flag)

-- example: a new column
-- given: migration
alter table users add column country character(2);
-- finds: public.users (country)

-- example: text, varchar and the one-byte type
-- given: migration
create table countries (code text primary key, name varchar, kind "char");
-- finds: nothing

-- example: a temporary table
-- given: migration
create temporary table batch (code char(2));
-- finds: nothing
