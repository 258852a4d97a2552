-- Durable events for channels, of any size. Who may publish is a GRANT EXECUTE (and USAGE on the schema).
create function listenql.publish(channel text, payload text) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare
  slot smallint := pg_sequence_last_value('listenql.head') & 3;
  stack text := current_setting('listenql.statement', true);
  n int := coalesce(nullif(split_part(stack, ';', 1), '')::int, num_nonnulls(pg_current_xact_id_if_assigned())) + 1; -- see number_OID
  rung boolean;
begin
  if channel is null or octet_length(channel) not between 1 and 63 then
    raise exception 'listenql: the name of a channel has 1 to 63 bytes, this one %', coalesce(octet_length(channel), 0)
      using errcode = 'invalid_parameter_value';
  elsif channel = 'listenql' then
    raise exception 'listenql: this channel is the doorbell' using errcode = 'invalid_parameter_value';
  end if;
  perform set_config('listenql.statement', concat(n, ';', substr(stack, strpos(stack, ';') + 1)), true);
  insert into listenql.event (slot, statement, kind, topic, generation, operation, new)
    values (slot, n, 'c', channel, 0, 'N', coalesce(payload, ''));
  rung := listenql.ring();
end $$;

create function listenql.publish(channel text, payload json) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as 'begin perform listenql.publish(channel, payload::text); end';
create function listenql.publish(channel text, payload jsonb) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as 'begin perform listenql.publish(channel, payload::text); end';
