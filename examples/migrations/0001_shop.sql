create table customers (
    id bigint generated always as identity primary key,
    email text not null
);

create table orders (
    id bigint generated always as identity primary key,
    customer_id bigint not null,
    status varchar(20) not null default 'open',
    ordered_at timestamptz not null default now()
);
