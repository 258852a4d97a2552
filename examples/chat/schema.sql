create role member;
grant member to listenql;

-- The claims of the token fill in room and author: no request can choose them.
create table messages (
  id int generated always as identity primary key,
  room text not null default current_setting('request.jwt.claims')::json ->> 'room',
  author text not null default current_setting('request.jwt.claims')::json ->> 'name',
  body text not null,
  at timestamptz not null default now()
);
create index on messages (room, id);
grant select, insert (body) on messages to member;
alter table messages enable row level security;
create policy my_room on messages using (room = (select current_setting('request.jwt.claims')::json ->> 'room'));

-- One event in the channel of the room, if and only if the transaction commits.
create function publish_message() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform listenql.publish('room:' || new.room, to_json(new));
  return null;
end $$;
create trigger publish_message after insert on messages for each row execute function publish_message();

create table presence (
  room text default current_setting('request.jwt.claims')::json ->> 'room',
  name text default current_setting('request.jwt.claims')::json ->> 'name',
  seen_at timestamptz not null default now(),
  primary key (room, name)
);
grant select, insert, update, delete on presence to member;
alter table presence enable row level security;
create policy my_room on presence using (room = (select current_setting('request.jwt.claims')::json ->> 'room'));

-- A heartbeat. It also removes the members of the room whose heartbeats have stopped.
create function here() returns void language sql begin atomic
  insert into presence default values on conflict (room, name) do update set seen_at = now();
  delete from presence where seen_at < now() - interval '6 seconds';
end;

select listenql.watch('messages');
select listenql.watch('presence');
