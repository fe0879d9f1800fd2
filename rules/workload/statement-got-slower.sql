-- rule: statement-got-slower
-- title: Statement that got slower
-- severity: warning
-- proof: inferred
-- reads: statement_change, relation_index, statement_text
-- message: A call takes {mean_ms} instead of {mean_before_ms}{since}{why}: {text}
-- fix: {fix_sql}
-- undo: {undo_sql}
-- param: least_factor = 1.5 -- less is felt by nobody
-- since: 0.1
--
-- ## Why it matters
-- Nobody changed what is asked, and every call costs more than it did: the difference is lost time, and it began on a
-- day that is known.
--
-- ## What to do
-- Where an index that it used was dropped, build it again. Where a setting moved the plan, set it back, for the role or
-- the database if not for all. Where the planner expects other numbers of rows, analyze the table. Where the table grew,
-- the statement has to read less of it: see the finding on the missing index, if there is one.
--
-- ## When to leave it
-- It does more than before, and is meant to.

with dropped as (
    select
        change.*,
        -- the definition is CREATE INDEX name ON …: to be built beside the running work
        regexp_replace(change.reason_definition, '^CREATE (UNIQUE )?INDEX ', 'create \1index concurrently ') as build_sql,
        regexp_extract(change.reason_definition, ' ON (?:ONLY )?(.+?) USING ', 1) as dropped_on,
        regexp_extract(change.reason_definition, ' USING \w+ \((.*?)\)', 1) as dropped_keys
    from statement_change as change
    where change.change = 'slower'
),
fixable as (
    select
        dropped.*,
        dropped.reason_kind = 'index_dropped'
            and dropped.reason_definition is not null
            -- the tables that partitions belong to need more than one statement
            and not contains(dropped.reason_definition, ' ON ONLY ')
            and idx.index is null as is_fixable
    from dropped
    left join relation_index as idx
        on idx.database = dropped.database and idx.index = dropped.reason_subject
)

select
    fixable.database,
    'fingerprint:' || fixable.fingerprint as subject,
    -- what an index on these columns cures is one fault
    case
        when is_fixable and dropped_on <> '' and dropped_keys <> '' then dropped_on || ' (' || dropped_keys || ')'
        else 'fingerprint:' || fixable.fingerprint
    end as root,
    fixable.fingerprint,
    statement_text.text,
    calls_per_day * (mean_ms - mean_ms_before) as impact_ms_per_day,
    -- without a reason there is no telling what comes back
    case when is_fixable then calls_per_day * (mean_ms - mean_ms_before) else 0 end as impact_low_ms_per_day,
    mean_ms,
    mean_ms_before as mean_before_ms,
    calls_per_day,
    calls_per_day_before as calls_before_per_day,
    blocks_per_call,
    blocks_per_call_before as blocks_before_per_call,
    changed_at,
    reason,
    reason_kind,
    reason_subject,
    plan_before,
    plan_now,
    case when changed_at is null then '' else ' since ' || strftime(changed_at, '%Y-%m-%d %H:%M') end as since,
    case when reason is null then '' else ' (' || reason || ')' end as why,
    case when is_fixable then build_sql || ';' end as fix_sql,
    case when is_fixable then 'drop index concurrently ' || reason_subject || ';' end as undo_sql
from fixable
left join statement_text on statement_text.fingerprint = fixable.fingerprint
where mean_ms >= $least_factor * mean_ms_before
    and calls_per_day > 0
    -- what became faster again later is over
    and not exists (
        select 1
        from statement_change as later
        where later.database = fixable.database
            and later.fingerprint = fixable.fingerprint
            and (later.change = 'gone' or (later.change = 'faster' and later.changed_at > fixable.changed_at))
    );

-- example: the index that it used is gone
-- given: evidence
insert into statement_text (fingerprint, text, kind) values ('abc', 'select * from orders where customer_id = $1', 'select');
insert into statement_change (fingerprint, change, changed_at, calls_per_day, mean_ms_before, mean_ms, reason, reason_kind,
    reason_subject, reason_definition) values
    ('abc', 'slower', timestamp '2026-01-06 10:00:00', 20000, 0.1, 40, 'index public.orders_customer_idx dropped',
    'index_dropped', 'public.orders_customer_idx',
    'CREATE INDEX orders_customer_idx ON public.orders USING btree (customer_id)');
-- finds: fingerprint:abc

-- example: nobody knows why
-- given: evidence
insert into statement_change (fingerprint, change, calls_per_day, mean_ms_before, mean_ms) values
    ('abc', 'slower', 20000, 10, 40);
-- finds: fingerprint:abc

-- example: it got faster, it is busier, more blocks cost no time, it was mended, or it is gone
-- given: evidence
insert into statement_change (fingerprint, change, changed_at, calls_per_day, mean_ms_before, mean_ms) values
    ('a', 'faster', timestamp '2026-01-06', 20000, 40, 1), ('b', 'busier', timestamp '2026-01-06', 90000, 1, 40),
    ('c', 'slower', timestamp '2026-01-06', 20000, 10, 12), ('d', 'slower', timestamp '2026-01-06', 20000, 1, 40),
    ('d', 'faster', timestamp '2026-01-07', 20000, 40, 1), ('e', 'slower', timestamp '2026-01-06', 20000, 1, 40),
    ('e', 'gone', timestamp '2026-01-07', null, 40, null);
-- finds: nothing
