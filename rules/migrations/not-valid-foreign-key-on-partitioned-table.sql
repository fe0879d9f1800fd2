-- rule: not-valid-foreign-key-on-partitioned-table
-- title: NOT VALID foreign key on a partitioned table
-- severity: error
-- reads: migration_effect, migration_step
-- actions: add foreign key
-- message: PostgreSQL {server_version} refuses a NOT VALID foreign key on a partitioned table, and {relation} is one;
--     add it to each partition NOT VALID, validate those, and add it to the parent last.
-- since: 0.1
--
-- ## Why it matters
-- Before version 18 the statement fails: "cannot add NOT VALID foreign key on partitioned table".
--
-- ## What to do
-- Add the key to every partition NOT VALID, validate each in a transaction of its own, then add the same key to the
-- parent: it adopts those that are there and validated, and reads nothing again. Partitions that are made meanwhile
-- need theirs too.
--
-- ## When to leave it
-- Never: it does not run. If production has 18 or later, say so with `--pg-version`.

select
    effect.effect,
    coalesce(effect.relation || ' (' || effect.columns || ')', effect.relation || '.' || effect.object_name) as subject,
    effect.relation,
    step.server_version
from migration_effect as effect
join migration_step as step on step.step = effect.step
where
    effect.action = 'add foreign key' and effect.is_validated is false and effect.is_partitioned
    and step.server_version < 18 and effect.is_present;

-- example: before 18
-- given: migration, version 17
create table events (id bigint, user_id bigint) partition by hash (id);
-- next file
alter table events add constraint events_user_fk foreign key (user_id) references users (id) not valid;
-- finds: public.events (user_id)

-- example: from 18 on
-- given: migration, version 18
create table events (id bigint, user_id bigint) partition by hash (id);
-- next file
alter table events add constraint events_user_fk foreign key (user_id) references users (id) not valid;
-- finds: nothing

-- example: on a partition
-- given: migration, version 17
create table events (id bigint, user_id bigint) partition by hash (id);
create table events_0 partition of events for values with (modulus 1, remainder 0);
-- next file
alter table events_0 add constraint events_user_fk foreign key (user_id) references users (id) not valid;
-- finds: nothing

-- example: to a partitioned table, from a plain one
-- given: migration, version 17
create table users (id bigint primary key) partition by hash (id);
create table events (id bigint, user_id bigint);
-- next file
alter table events add constraint events_user_fk foreign key (user_id) references users (id) not valid;
-- finds: nothing

-- example: a CHECK may
-- given: migration, version 17
create table events (id bigint, user_id bigint) partition by hash (id);
-- next file
alter table events add constraint events_user check (user_id > 0) not valid;
-- finds: nothing

-- example: validated at once it is another rule's
-- given: migration, version 17
create table events (id bigint, user_id bigint) partition by hash (id);
-- next file
alter table events add constraint events_user_fk foreign key (user_id) references users (id);
-- finds: nothing
