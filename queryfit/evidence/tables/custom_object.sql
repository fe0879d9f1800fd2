-- What a schema holds besides relations, types, routines and collations: objects that are neither the server's nor an
-- extension's, by name alone. A planner without them may plan otherwise, or refuse.
-- source: pg_operator, pg_opclass, pg_opfamily, pg_cast, pg_type, pg_rewrite, pg_ts_config, pg_ts_dict, pg_foreign_server, pg_am, pg_language
-- capture: full
create table custom_object (
    database varchar not null,                  -- database
    kind varchar not null,                      -- operator, operator class, operator family, cast, base type, rule, text search configuration, text search dictionary, foreign server, access method, language
    object varchar not null,                    -- its identity as pg_identify_object() prints it: public.===(integer,text)
    relation varchar                            -- relation of a rule, schema.name; null for others
);
