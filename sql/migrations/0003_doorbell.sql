-- The doorbell: interrupt, then poll. A notification carries no data, only "look at the log".

-- Called after the log was written to, so that this transaction HAS an xid before it looks at the bell: the server that
-- goes to sleep waits for all xids older than its ticket, and all younger ones see the ticket. A fault in here would abort
-- the user's write, and to catch it would cost every write a subtransaction: so nothing in here can fail. pg_notify itself
-- only remembers the notification; COMMIT fails if the queue is full, hence the look at it. (PREPARE TRANSACTION fails
-- after any NOTIFY; see arm().)
create function listenql.ring() returns boolean language plpgsql as $$
declare ticket bigint := pg_catalog.pg_sequence_last_value('listenql.armed');
begin
  if ticket operator(pg_catalog.>) pg_catalog.pg_sequence_last_value('listenql.cleared')
     and pg_catalog.pg_sequence_last_value('listenql.lease') operator(pg_catalog.>) pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.int8
     and pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) 0.5::pg_catalog.float8 then
    perform pg_catalog.pg_notify('listenql', ticket::pg_catalog.text);
    return true;
  end if;
  return false;
end $$;

-- Raises `cleared` to a ticket that a notification carried. Two servers may race and leave the lower one: one spurious ring
-- more, never one less. A value that was never drawn (anybody may NOTIFY) is ignored.
create function listenql.clear(ticket bigint) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  if ticket > (select last_value from listenql.cleared) and ticket <= (select last_value from listenql.armed) then
    perform setval('listenql.cleared', ticket);
  end if;
end $$;

-- Extends the lease; never below that of another server, unless that one is absurd.
create function listenql.renew(lease_seconds int) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare now_s bigint := extract(epoch from clock_timestamp())::bigint; held bigint := (select last_value from listenql.lease);
begin
  perform setval('listenql.lease', greatest(0, now_s + lease_seconds, case when held < now_s + 86400 then held end));
end $$;

-- Draws a ticket and extends the lease. Lowering `cleared` is always safe; it heals sequences restored from a dump, which
-- reads them at different moments. The caller must COMMIT this and only then draw its fence.
-- False: there is no bell here, go on polling. So it is where transactions can be prepared, since NOTIFY would make
-- PREPARE TRANSACTION fail; `alter database ... set listenql.bell = 'on'` says that nobody here does.
create function listenql.arm(lease_seconds int) returns boolean language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare ticket bigint;
begin
  if coalesce(nullif(current_setting('listenql.bell', true), ''),
      case current_setting('max_prepared_transactions') when '0' then 'on' else 'off' end) <> 'on' then
    return false;
  end if;
  ticket := nextval('listenql.armed');
  if (select last_value from listenql.cleared) >= ticket then perform setval('listenql.cleared', ticket - 1); end if;
  perform listenql.renew(lease_seconds);
  return true;
end $$;
