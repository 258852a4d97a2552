-- The key that makes cursors opaque: the same for all servers of this database. As a default, so that a row of history that is
-- made anew, since a dump left it out, has one. Two random UUIDs have 244 random bits, from the strong source of the server.
alter table listenql.history add column cursor_key bytea not null
  default pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid()));

-- Null where the state of the log was left out of a dump, until newest() makes it.
create function listenql.cursor_key() returns bytea language sql stable security definer set search_path = pg_catalog, pg_temp as
  'select h.cursor_key from listenql.history h';
revoke all on function listenql.cursor_key() from public;

-- The logins of servers need it from now on; those are the ones that may call newest().
do $$
declare login oid;
begin
  for login in select distinct a.grantee from pg_catalog.pg_proc p cross join lateral pg_catalog.aclexplode(p.proacl) a
      where p.oid = 'listenql.newest()'::pg_catalog.regprocedure and a.privilege_type = 'EXECUTE' and a.grantee not in (0, p.proowner) loop
    execute pg_catalog.format('grant execute on function listenql.cursor_key() to %s', login::pg_catalog.regrole);
  end loop;
end $$;
