begin;
alter table customers add column token uuid not null default gen_random_uuid();
create index concurrently customers_token on customers (token);
commit;
