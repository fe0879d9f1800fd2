-- Foreign keys, added once the rows are in: one check of the whole table instead of one for each row.

alter table products add foreign key (category_id) references categories;
alter table inventory add foreign key (product_id) references products;
alter table orders add foreign key (customer_id) references customers;
alter table order_items add foreign key (order_id) references orders;
alter table order_items add foreign key (product_id) references products;
alter table payments add foreign key (order_id) references orders;
alter table shipments add foreign key (order_id) references orders;
alter table returns add foreign key (order_id) references orders;
alter table reviews add foreign key (product_id) references products;
alter table reviews add foreign key (customer_id) references customers;
alter table carts add foreign key (customer_id) references customers;
alter table sessions add foreign key (customer_id) references customers;
alter table orders add constraint orders_total_not_negative check (total >= 0);
