-- rule: sequence-renamed
-- title: Sequence renamed under running clients
-- severity: warning
-- reads: migration_effect
-- actions: rename table
-- message: Running clients that take numbers from {relation} by its name fail from here on; rename it in a release
--     after the last one that names it, or leave the name.
-- since: 0.1
--
-- ## Why it matters
-- A sequence that belongs to no column is used by its name: `nextval('order_numbers')` in running code fails as soon as
-- the name is gone. Defaults of columns keep working, as they hold on to the sequence itself.
--
-- ## What to do
-- Create a sequence of the new name that starts well above the old one, release code that uses it, drop the old one.
--
-- ## When to leave it
-- Only defaults of columns use the sequence. One that a column owns (serial, identity) is not reported.

select effect.effect, effect.relation as subject, effect.relation
from migration_effect as effect
where
    effect.action = 'rename table'
    and effect.relation_kind = 'sequence'
    and effect.is_breaking
    and effect.is_present
    and not effect.is_new
    and not effect.is_name_new
    and effect.name_returns is null;

-- example: a sequence of an earlier migration
-- given: migration
create sequence order_numbers;
-- next file
alter sequence order_numbers rename to purchase_numbers;
-- finds: public.order_numbers

-- example: a column owns it
-- given: migration
create table orders (id bigserial primary key);
-- next file
alter sequence orders_id_seq rename to purchases_id_seq;
-- finds: nothing

-- example: born in the same file
-- given: migration
create sequence order_numbers;
alter sequence order_numbers rename to purchase_numbers;
-- finds: nothing

-- example: nobody here made it: it may be a column's
-- given: migration
alter sequence orders_id_seq rename to purchases_id_seq;
-- finds: nothing
