-- One rule that a comment of a migration suppresses (`-- queryfit: ignore rule-name reason`), and what came of it.
-- Rules that read it run after all others: only then it is known what was of use.
-- source: the files given to `queryfit lint`, and what the other rules found in them
-- capture: migration
create table migration_suppression (
    file varchar not null,                      -- name of the file as it was given
    line integer not null,                      -- where the comment names the rule, from 1
    number integer not null,                    -- among the suppressions of the same rule in the file, from 1
    rule varchar,                               -- rule that is named; null where the comment is not understood
    reason varchar,                             -- why, as the comment says; null: it gives none, and suppresses nothing
    problem varchar,                            -- why the comment is not understood, in words
    is_file boolean not null,                   -- it speaks of the whole file, not of one statement
    is_known boolean not null,                  -- there is such a rule
    has_run boolean not null,                   -- the rule judged this time
    has_statement boolean not null,             -- it stands on the line of a statement or directly above one
    is_used boolean not null                    -- the rule found what it speaks of
);
