insert into users (email, name, age, code, legacy_id, doc, docb, uid, score, bio, note, ip, tags, bits, login, dur, t3, amount)
 select 'u'||i||'@x.org', 'n'||i, i%90, 'c'||i, i, '{"a":1}', '{"a":1}', gen_random_uuid(), 1.5, 'bio', 'note', '10.0.0.1', '{a}', B'101', 'l'||i, '1 day', '2024-01-01', i from generate_series(1,20000) i;
insert into orders (id, user_id, qty, amount, ref, notes, buyer_id) select i, i, 1+i%5, i, 'r'||i, 'n'||i, i from generate_series(1,20000) i;
insert into order_items (order_id, line, product_id, price, sku, weight, contact, label, during) select i, 1, i, 1, 's'||i, 1, 'a@b', 'lab', tstzrange(timestamptz '2024-01-01' + i * interval '1 min', timestamptz '2024-01-01' + (i+1) * interval '1 min') from generate_series(1,20000) i;
insert into products select i, 's'||i, 't'||i, 5, 1, 3, 'slug'||i, 'a' from generate_series(1,20000) i;
insert into invoices (net, issued, memo) select i, '2024-01-01', 'm' from generate_series(1,20000) i;
insert into audit.log select i, now(), 'w', 'x' from generate_series(1,20000) i;
insert into "Customers" select i, 'f'||i, now(), 1, 1 from generate_series(1,20000) i;
insert into events select i, timestamptz '2024-01-02' + (i % 700) * interval '1 day', 'k', '{}' from generate_series(1,20000) i;
insert into events select i, timestamptz '2030-01-02', 'k', '{}' from generate_series(1,20000) i;
insert into metrics select 'a', '2024-02-02', i from generate_series(1,20000) i;
insert into metrics select 'b', '2024-02-02', i from generate_series(1,20000) i;
insert into metrics_c select 'c', '2024-02-02', i from generate_series(1,20000) i;
insert into animals select i, 'a'||i, 4 from generate_series(1,20000) i;
insert into dogs select i, 'a'||i, 4, 'b' from generate_series(1,20000) i;
insert into cache select i, 'v' from generate_series(1,20000) i;
refresh materialized view daily;
vacuum analyze;
