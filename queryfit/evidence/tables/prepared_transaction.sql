-- Transactions left by PREPARE TRANSACTION.
-- source: pg_prepared_xacts
-- capture: sample
create table prepared_transaction (
    gid varchar not null,                       -- its name
    database varchar not null,                  -- database
    owner varchar not null,                     -- role
    age_ms double not null,                     -- since it was prepared
    xid_age_xids bigint                         -- age(transaction)
);
