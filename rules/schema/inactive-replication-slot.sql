-- rule: inactive-replication-slot
-- title: Replication slot that nobody reads
-- severity: warning
-- reads: replication_slot, setting, server
-- message: Nobody streams from {kind} slot {subject}{since_words}: {consequence}. Drop it, unless its reader comes
--     back soon.
-- fix: select pg_drop_replication_slot('{slot_literal}');
-- param: warning_bytes = 1073741824 -- 1 GB of WAL is more than a restart of a standby leaves behind
-- param: error_bytes = 17179869184 -- at 16 GB the disk is in danger on most servers
-- since: 0.1
--
-- ## Why it matters
-- A slot keeps all WAL that its reader has not confirmed, and a logical one old catalog rows as well. When the reader
-- is gone for good, pg_wal grows until the disk is full, and then the server stops. `max_slot_wal_keep_size` puts an
-- end to that, at the price of the slot.
--
-- ## What to do
-- Find out whose it was. Drop it if nobody comes back; set `max_slot_wal_keep_size` so that the next one cannot fill
-- the disk.
--
-- ## When to leave it
-- The standby or subscriber restarts right now. Slots that a standby keeps in step with its primary (17+) are inactive
-- by nature, and logical slots on a standby are not reported.

with keep as (
    select max(value_bytes) as keep_bytes from setting where name = 'max_slot_wal_keep_size'
)

select
    null::varchar as database,
    slot.slot as subject,
    slot.slot as root,
    case
        when slot.wal_status in ('lost', 'unreserved') then 'warning'
        when slot.retained_bytes >= $error_bytes and keep.keep_bytes is null then 'error'
        when slot.retained_bytes >= $warning_bytes then 'warning'
        when slot.inactive_since <= server.captured_at - interval 1 day then 'warning'
        else 'info'
    end as severity,
    slot.kind,
    slot.slot,
    slot.wal_status,
    slot.retained_bytes,
    slot.inactive_since,
    keep.keep_bytes as max_slot_wal_keep_bytes,
    replace(slot.slot, '''', '''''') as slot_literal,
    coalesce(' since ' || strftime(slot.inactive_since, '%Y-%m-%d %H:%M'), '') as since_words,
    case
        when slot.wal_status = 'lost' then 'its WAL is gone already, so its reader cannot go on'
        when slot.wal_status = 'unreserved' then 'its WAL is about to be removed, and then its reader cannot go on'
        else 'the server keeps ' || case
            when slot.retained_bytes >= 1073741824 then round(slot.retained_bytes / 1073741824.0, 1) || ' GB'
            else ceil(coalesce(slot.retained_bytes, 0) / 1048576.0)::bigint || ' MB'
        end || ' of WAL for it' || case
            when keep.keep_bytes is null then ', without a limit, until the disk is full'
            else ', up to max_slot_wal_keep_size'
        end
    end as consequence
from replication_slot as slot
cross join keep
cross join server
where not slot.is_active
    and not slot.is_temporary
    -- a slot that was never used keeps nothing
    and (slot.retained_bytes is not null or slot.wal_status = 'lost')
    and not (server.is_standby and slot.kind = 'logical');

-- example: 5 GB kept for a standby that is gone
-- given: evidence
insert into replication_slot (slot, kind, is_active, wal_status, retained_bytes) values
    ('old_standby', 'physical', false, 'extended', 5368709120);
-- finds: old_standby

-- example: an active one, a temporary one, one that was never used, and one that a standby keeps in step
-- given: evidence
insert into server (is_standby) values (true);
insert into replication_slot (slot, kind, is_active, is_temporary, retained_bytes) values
    ('standby1', 'physical', true, false, 5368709120), ('backup', 'physical', false, true, 5368709120),
    ('spare', 'physical', false, false, null), ('sync', 'logical', false, false, 90000000);
-- finds: nothing

-- example: its WAL is gone
-- given: evidence
insert into replication_slot (slot, kind, is_active, wal_status, retained_bytes) values
    ('old_standby', 'physical', false, 'lost', null);
-- finds: old_standby
