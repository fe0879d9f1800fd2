-- rule: constraint-not-valid
-- title: Constraint that was never validated
-- severity: warning
-- reads: relation, relation_constraint
-- message: {constraint_name} on {relation} is NOT VALID: rows older than it may break it and nobody checked; validate
--     it, which blocks neither reads nor writes.
-- fix: alter table {relation} validate constraint {constraint_sql};
-- since: 0.1
--
-- ## Why it matters
-- A constraint added with NOT VALID is enforced for new rows only. Old rows may break it, a dump may not restore, and
-- the planner does not use it (to exclude partitions or, from 18, to know that a column has no nulls).
--
-- ## What to do
-- `validate constraint` scans the table under a SHARE UPDATE EXCLUSIVE lock: reads and writes go on. If it fails, it
-- names the first row to mend.
--
-- ## When to leave it
-- The second step of its migration is still to come, or the old rows are known to break it and are meant to stay.

select
    con.database,
    con.relation || ' (' || con.constraint_name || ')' as subject,
    con.relation,
    con.constraint_name,
    con.kind,
    con.definition,
    case
        when regexp_matches(con.constraint_name, '^[a-z_][a-z0-9_]*$') then con.constraint_name
        else '"' || replace(con.constraint_name, '"', '""') || '"'
    end as constraint_sql
from relation_constraint as con
join relation as rel on rel.database = con.database and rel.relation = con.relation
where not con.is_validated
    -- one that is not enforced (18+) is never valid, and says so on purpose
    and con.is_enforced
    and not con.is_inherited
    and rel.extension is null
    and rel.kind <> 'foreign_table';

-- example: a check that was added NOT VALID and forgotten
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_constraint (relation, constraint_name, kind, is_validated) values
    ('public.orders', 'amount_positive', 'check', false);
-- finds: public.orders (amount_positive)

-- example: validated, not enforced, or inherited by a partition
-- given: evidence
insert into relation (relation, kind) values ('public.orders', 'table');
insert into relation_constraint (relation, constraint_name, kind, is_validated, is_enforced, is_inherited) values
    ('public.orders', 'a', 'check', true, true, false),
    ('public.orders', 'b', 'check', false, false, false),
    ('public.orders', 'c', 'foreign_key', false, true, true);
-- finds: nothing

-- example: a foreign table promises nothing that could be validated
-- given: evidence
insert into relation (relation, kind) values ('public.remote', 'foreign_table');
insert into relation_constraint (relation, constraint_name, kind, is_validated) values
    ('public.remote', 'amount_positive', 'check', false);
-- finds: nothing
