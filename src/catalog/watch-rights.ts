import type { ClientBase } from 'pg'
import { ask } from '../postgres/lock-retry.js'

/** What a login may do to schema `listenql`, as far as it matters to which tables are watched. */
export interface WatchRights {
  readonly login: string
  readonly database: string
  readonly isStandby: boolean
  /** Schema `listenql` exists. */
  readonly isInstalled: boolean
  /** Its owner; null: there is no schema. */
  readonly owner: string | null
  /** The login may create schemas in the database. */
  readonly mayInstall: boolean
  /** The login may read which tables are watched. */
  readonly mayRead: boolean
  /** The first right that the login lacks for watching tables; null: none. */
  readonly lacking: string | null
}

const RIGHTS = `
select current_user::text as login, current_database()::text as database, pg_is_in_recovery() as "isStandby",
  n.oid is not null as "isInstalled", pg_get_userbyid(n.nspowner)::text as owner,
  has_database_privilege(current_database(), 'create') as "mayInstall",
  coalesce(has_schema_privilege(n.oid, 'usage') and (select has_table_privilege(c.oid, 'select') from pg_class c
    where c.relnamespace = n.oid and c.relname = 'watched'), false) as "mayRead",
  case when has_schema_privilege(n.oid, 'usage') then (
      select 'EXECUTE on listenql.' || p.proname from pg_proc p where p.pronamespace = n.oid
        and p.proname in ('watch', 'enroll', 'create_triggers') and not has_function_privilege(p.oid, 'execute')
      order by p.proname desc limit 1)
    else 'USAGE on schema listenql' end as lacking
from (select) one left join pg_namespace n on n.nspname = 'listenql'`

/** Reads the rights without a statement that fails: each failure would be an error in Postgres's own log. */
export async function readWatchRights(client: ClientBase): Promise<WatchRights> {
  const [rights] = await ask<WatchRights>(client, RIGHTS)
  return rights as WatchRights
}
