-- About 1.5 million rows, the same ones every time: every value is computed from its row's number.
-- Skewed as shops are: a few customers and products have most of the orders, most orders are long delivered.

-- a number in [0, 1) that looks random but is fixed for a row and a purpose
create function noise(row_number bigint, purpose bigint) returns double precision
    language sql immutable parallel safe
    return (hashint8extended(row_number, purpose) & 1048575) / 1048576.0;

insert into categories (id, name)
select n, 'Category ' || n
from generate_series(1, 40) as n;

insert into customers (id, email, name, country, locale, created_at)
select
    n,
    'customer' || n || '@shop' || n % 7 || '.example',
    'Customer ' || n,
    (array['DE', 'FR', 'US', 'GB', 'JP'])[1 + floor(5 * power(noise(n, 1), 2))::integer],
    (array['de', 'fr', 'en', 'ja'])[1 + n % 4],
    timestamptz '2022-01-01' + n * interval '40 minutes'
from generate_series(1, 60000) as n;

insert into products (id, category_id, sku, name, description, price, updated_at)
select
    n,
    1 + floor(40 * power(noise(n, 2), 2))::integer,
    'SKU-' || lpad(n::text, 8, '0'),
    (array['Lamp', 'Chair', 'Table', 'Shelf', 'Carpet', 'Clock'])[1 + n % 6] || ' ' || md5(n::text),
    repeat('Sturdy and well made. ', 6) || n,
    round((5 + 400 * power(noise(n, 3), 3))::numeric, 2),
    timestamptz '2026-09-01' + n * interval '1 minute'
from generate_series(1, 12000) as n;

insert into inventory (product_id, stock, updated_at)
select n, 1000000, timestamptz '2026-11-01'
from generate_series(1, 12000) as n;

-- customer 1 is a reseller with one order in ten; ids up to a few hundred belong to regulars
insert into orders (id, customer_id, status, total, coupon_code, created_at)
select
    n,
    case when noise(n, 4) < 0.1 then 1 else 2 + floor(59998 * power(noise(n, 5), 2.5))::bigint end,
    case
        when n > 239000 then 'new'
        when noise(n, 6) < 0.03 then 'returned'
        when noise(n, 6) < 0.05 then 'cancelled'
        else 'delivered'
    end,
    round((10 + 300 * power(noise(n, 7), 2))::numeric, 2),
    case when noise(n, 8) < 0.1 then 'SAVE' || n % 50 end,
    timestamptz '2025-01-01' + n * interval '4 minutes'
from generate_series(1, 240000) as n;

insert into order_items (id, order_id, product_id, quantity, unit_price)
select
    n,
    1 + (n - 1) / 3,
    1 + floor(12000 * power(noise(n, 9), 2))::bigint,
    1 + floor(4 * power(noise(n, 10), 3))::integer,
    round((5 + 400 * power(noise(n, 11), 3))::numeric, 2)
from generate_series(1, 720000) as n;

insert into payments (id, order_id, provider, amount, captured_at)
select
    n,
    n,
    (array['card', 'paypal', 'invoice'])[1 + floor(3 * power(noise(n, 12), 2))::integer],
    round((10 + 300 * power(noise(n, 7), 2))::numeric, 2),
    timestamptz '2025-01-01' + (n * 4 + floor(60 * noise(n, 13))) * interval '1 minute'
from generate_series(1, 140000) as n;

insert into shipments (id, order_id, carrier, tracking_code, shipped_at)
select
    n,
    n,
    (array['DHL', 'UPS', 'Post'])[1 + n % 3],
    'TRACK' || md5(n::text),
    timestamptz '2025-01-02' + n * interval '4 minutes'
from generate_series(1, 120000) as n;

insert into returns (id, order_id, reason, created_at)
select n, n * 8, (array['broken', 'too late', 'not as shown'])[1 + n % 3], timestamptz '2025-01-10' + n * interval '30 minutes'
from generate_series(1, 30000) as n;

insert into reviews (id, product_id, customer_id, rating, body, created_at)
select
    n,
    1 + floor(12000 * power(noise(n, 14), 2))::bigint,
    2 + floor(59998 * power(noise(n, 15), 2))::bigint,
    1 + floor(5 * sqrt(noise(n, 16)))::integer,
    repeat('Would buy it again. ', 1 + n % 4),
    timestamptz '2025-03-01' + (n * 7 + floor(500 * noise(n, 17))) * interval '1 minute'
from generate_series(1, 90000) as n;

insert into carts (id, customer_id, content, updated_at)
select
    n,
    2 + floor(59998 * noise(n, 18))::bigint,
    'item ' || md5(n::text) || md5((n + 1)::text),
    timestamptz '2026-10-01' + n * interval '15 seconds'
from generate_series(1, 30000) as n;

insert into sessions (token, customer_id, expires_at)
select md5('session' || n), 2 + n * 2, timestamptz '2027-01-01' + n * interval '1 second'
from generate_series(1, 20000) as n;

insert into jobs (id, state, payload, created_at)
select n, case when n > 3990 then 'queued' else 'done' end, '{"order": ' || n || '}', timestamptz '2026-11-01' + n * interval '1 minute'
from generate_series(1, 4000) as n;

insert into searches (id, words, searched_at)
select n, (array['lamp', 'chair', 'red carpet', 'clock'])[1 + n % 4] || ' ' || n % 977, timestamptz '2026-11-01' + n * interval '20 seconds'
from generate_series(1, 40000) as n;

insert into daily_revenue (day, orders, total)
select created_at::date, count(*), sum(total)
from orders
group by 1;

insert into audit_log (id, actor, action, happened_at)
select n, 'clerk' || n % 12, 'price changed', timestamptz '2026-06-01' + n * interval '5 minutes'
from generate_series(1, 40000) as n;

insert into page_views (id, customer_id, path, viewed_at)
select
    n,
    case when noise(n, 19) < 0.4 then 2 + floor(59998 * power(noise(n, 20), 2))::bigint end,
    '/product/' || 1 + floor(12000 * power(noise(n, 21), 2))::integer,
    timestamptz '2026-07-01' + n * interval '1 minute'
from generate_series(1, 200000) as n;

drop function noise;

select setval(pg_get_serial_sequence('page_views', 'id'), 200000);
select setval(pg_get_serial_sequence('audit_log', 'id'), 40000);
select setval(pg_get_serial_sequence('jobs', 'id'), 4000);
select setval(pg_get_serial_sequence('orders', 'id'), 240000);
select setval(pg_get_serial_sequence('order_items', 'id'), 720000);
