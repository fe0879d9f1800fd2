set lock_timeout = '5s';

-- a default that is the same for every row costs nothing
alter table orders add column note text not null default '';

-- a longer limit only changes the catalog
alter table orders alter column status type varchar(40);

-- this one reads both tables under a lock
alter table orders add constraint orders_customer_fkey foreign key (customer_id) references customers (id);
create index orders_customer_id on orders (customer_id);
