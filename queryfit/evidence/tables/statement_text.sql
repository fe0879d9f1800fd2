-- One text per fingerprint.
-- source: pg_stat_statements.query, parsed by libpg_query
-- capture: sample
create table statement_text (
    fingerprint varchar not null,               -- 16 hex digits: libpg_query's fingerprint, or a hash of the text where it does not parse
    text varchar not null,                      -- as pg_stat_statements keeps it, constants replaced by $n
    kind varchar not null,                      -- select, insert, update, delete, merge, transaction, utility, unparsed, hidden
    is_truncated boolean not null,              -- it ends where track_activity_query_size or a parser error says it was cut
    parse_error varchar                         -- the parser's words; null when it parses
);
