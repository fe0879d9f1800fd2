-- rule: owned-objects-dropped
-- title: DROP OWNED takes whatever a role owns
-- severity: error
-- reads: migration_effect, migration_step
-- actions: drop object
-- message: Every table, view and function that {role} owns in this database goes with all rows, for good; drop them by
--     name, or give them to another role first.
-- since: 0.1
--
-- ## Why it matters
-- Nothing in the migration says what goes: it is what the role owns on the day it runs, on this server. The privileges
-- of the role go too, and with CASCADE what depends on its objects.
--
-- ## What to do
-- `reassign owned by old_role to new_role` keeps the objects; run `drop owned` only after it, for the privileges that
-- are left. Drop objects by name where they have to go.
--
-- ## When to leave it
-- `reassign owned` stands before it in the same file (not reported), or the role owns nothing here.

select effect.effect, effect.relation as subject, effect.relation as role
from migration_effect as effect
join migration_step as step on step.step = effect.step
where effect.action = 'drop object'
    and effect.definition = 'owned'
    and not exists (
        select 1
        from migration_step as given
        where given.kind = 'ReassignOwnedStmt'
            and given.file = step.file
            and given.step < step.step
    );

-- example: all that a role owns
-- given: migration
drop owned by app cascade;
-- finds: app

-- example: it was given to another role before
-- given: migration
reassign owned by app to owner;
drop owned by app;
-- finds: nothing

-- example: a role that owns nothing
-- given: migration
drop role app;
-- finds: nothing
