-- rule: new-index-not-used
-- title: New index that no captured statement uses
-- severity: info
-- proof: planned
-- reads: migration_new_index
-- message: {nobody} {index} ({size_bytes} once it is built), but every write to {relation} maintains it.
-- since: 0.1
--
-- ## Why it matters
-- The statements that the server runs today on the table were planned in the lab with the index there, at the size that
-- it will have. None of the plans uses it. It costs disk, memory and time on every write, and may keep updates from
-- being HOT.
--
-- ## What to do
-- See what the index is for. `queryfit advise --for "SELECT …"` says which index a statement would use, and
-- `queryfit explain` why it does not use this one.
--
-- ## When to leave it
-- It is for statements that come with the same release, or that ran too seldom to be captured. A unique index is there
-- for its constraint and is not reported, nor is one that serves a foreign key of its table.

select
    made.step,
    made.effect,
    made.index as subject,
    made.index,
    made.relation,
    made.definition,
    made.size_bytes,
    made.statements,
    case
        when made.statements = 1 then 'The only captured statement on ' || made.relation || ' does not use'
        else 'None of the ' || made.statements || ' captured statements on ' || made.relation || ' uses'
    end as nobody
from migration_new_index as made
where
    made.users = 0 and made.statements > 0 and made.is_complete
    and not made.is_unique and not made.has_foreign_key;

-- example: no plan uses it
-- given: evidence
insert into migration_new_index (step, effect, index, relation, definition, size_bytes, statements, users, is_complete)
values (1, 1, 'public.orders_note', 'public.orders', 'create index …', 48000000, 12, 0, true);
-- finds: public.orders_note

-- example: two do
-- given: evidence
insert into migration_new_index (step, effect, index, relation, definition, size_bytes, statements, users, is_complete)
values (1, 1, 'public.orders_note', 'public.orders', 'create index …', 48000000, 12, 2, true);
-- finds: nothing

-- example: nobody reads the table yet
-- given: evidence
insert into migration_new_index (step, effect, index, relation, definition, size_bytes, statements, users, is_complete)
values (1, 1, 'public.orders_note', 'public.orders', 'create index …', 48000000, 0, 0, true);
-- finds: nothing

-- example: a unique index
-- given: evidence
insert into migration_new_index (
    step, effect, index, relation, definition, is_unique, statements, users, is_complete
)
values (1, 1, 'public.orders_code', 'public.orders', 'create unique index …', true, 12, 0, true);
-- finds: nothing

-- example: for a foreign key
-- given: evidence
insert into migration_new_index (
    step, effect, index, relation, definition, has_foreign_key, statements, users, is_complete
)
values (1, 1, 'public.orders_customer', 'public.orders', 'create index …', true, 12, 0, true);
-- finds: nothing

-- example: more statements read the table than were planned
-- given: evidence
insert into migration_new_index (step, effect, index, relation, definition, statements, users, is_complete)
values (1, 1, 'public.orders_note', 'public.orders', 'create index …', 500, 0, false);
-- finds: nothing
