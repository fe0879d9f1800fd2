-- Functions, procedures, aggregates and window functions outside pg_catalog and information_schema.
-- source: pg_proc, pg_get_functiondef()
-- capture: full
create table routine (
    database varchar not null,                  -- database
    routine varchar not null,                   -- schema.name, quoted where SQL needs it; several routines may share it
    schema varchar not null,                    -- schema, unquoted
    name varchar not null,                      -- name, unquoted
    routine_oid bigint not null,                -- pg_proc.oid
    kind varchar not null,                      -- function, procedure, aggregate, window
    arguments varchar not null,                 -- pg_get_function_identity_arguments(): a integer, OUT b text; without defaults
    input_types varchar not null,               -- types of its input arguments in order, as one text: integer, public.mood
    defaulted_arguments integer not null,       -- how many of the last input arguments have a default
    is_variadic boolean not null,               -- the last argument is VARIADIC
    result varchar,                             -- pg_get_function_result(): SETOF integer, TABLE(a integer); null for a procedure
    is_set_returning boolean not null,          -- proretset
    language varchar not null,                  -- sql, plpgsql, c, internal …
    volatility varchar not null,                -- immutable, stable, volatile
    is_strict boolean not null,                 -- returns null on null input
    parallel_safety varchar not null,           -- safe, restricted, unsafe
    is_leakproof boolean not null,              -- proleakproof
    is_security_definer boolean not null,       -- prosecdef
    call_cost double not null,                  -- procost, in units of cpu_operator_cost
    expected_rows double not null,              -- prorows, 0 unless it returns a set
    support_function varchar,                   -- planner support function, schema.name; null for none
    settings varchar,                           -- SET clauses as the text of an array: {search_path=public}
    owner varchar,                              -- owner role
    is_owner_superuser boolean,                 -- that role is a superuser
    extension varchar,                          -- extension that owns it, null for none
    definition varchar                          -- pg_get_functiondef() of sql and plpgsql ones that no extension owns; --redact drops it
);
