-- The healthy shop: an index for every page and every foreign key, and nothing that no page needs.

create extension pg_trgm;

create index on products (category_id, id);
create index on products using gin (name gin_trgm_ops);
create index on customers (lower(email));
create index on orders (customer_id, created_at);
create index on orders (created_at);
create index on order_items (order_id);
create index on order_items (product_id);
create index on payments (order_id);
create index on payments (captured_at);
create index on shipments (order_id);
create index on shipments (tracking_code);
create index on returns (order_id);
create index on reviews (created_at);
create index on reviews (product_id);
create index on reviews (customer_id);
create index on carts (customer_id);
create index on sessions (customer_id);
create index on jobs (id) where state = 'queued';
create index on page_views (viewed_at);

vacuum (analyze);
