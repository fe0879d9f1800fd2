-- rule: NAME_OF_THE_RULE
-- title: TITLE_OF_THE_RULE
-- severity: info
-- reads: relation
-- message: {relation} has {tuple_rows} rows: say what is wrong with that, why it matters and what to do.
-- param: minimum_rows = 1000000 -- say why this value and no other
-- since: 0.1
--
-- ## Why it matters
-- What goes wrong, and for whom. `queryfit sql --tables` lists the evidence that a rule can read.
--
-- ## What to do
-- The cure, and how to apply it without an outage. SQL for it goes in the header: `fix:` and `undo:`.
--
-- ## When to leave it
-- When this finding is right but nothing needs to be done.

select
    rel.database,
    rel.relation as subject,  -- the smallest faulty object; no counts: they would give it a new identity every day
    rel.relation,
    rel.tuple_rows
from relation as rel
where rel.kind = 'table'
    and rel.extension is null
    and rel.tuple_rows >= $minimum_rows;

-- example: a large table
-- given: evidence
insert into relation (relation, kind, tuple_rows) values ('public.orders', 'table', 2000000);
-- finds: public.orders

-- example: a small table
-- given: evidence
insert into relation (relation, kind, tuple_rows) values ('public.country', 'table', 200);
-- finds: nothing

-- example: a table that was never analyzed: how large it is is not known
-- given: evidence
insert into relation (relation, kind, tuple_rows) values ('public.fresh', 'table', null);
-- finds: nothing
