import type { ClientBase } from 'pg'
import type { Failure } from '../lib/observation.js'
import { STANDBY } from '../postgres/connect-failure.js'

/** Whether the server may read the catalogue, and what prevents it. */
export interface Access {
  /** Schema `listenql` exists. */
  readonly isInstalled: boolean
  readonly mayRefresh: boolean
  readonly mayRead: boolean
  /** The missing right or object, with a remedy. */
  readonly lacking: Failure | undefined
}

const LOOK = `
select n.oid is not null as "isInstalled",
  coalesce(pg_catalog.has_schema_privilege(n.oid, 'usage'), false) as "mayEnter",
  coalesce((select pg_catalog.has_function_privilege(p.oid, 'execute') from pg_catalog.pg_proc p
    where p.pronamespace = n.oid and p.proname = 'refresh'), false) as "mayRefresh",
  coalesce((select pg_catalog.has_function_privilege(p.oid, 'execute') from pg_catalog.pg_proc p
    where p.pronamespace = n.oid and p.proname = 'cursor_key'), true) as "mayKey",
  coalesce((select pg_catalog.has_table_privilege(c.oid, 'select') from pg_catalog.pg_class c
    where c.relnamespace = n.oid and c.relname = 'watched'), false) as "mayRead",
  (select pg_catalog.count(distinct p.proname) from pg_catalog.pg_proc p where p.pronamespace = n.oid
    and p.proname in ('newest', 'pull', 'read', 'cut', 'refresh', 'rotate')) = 6
    and exists (select from pg_catalog.pg_class c where c.relnamespace = n.oid and c.relname = 'watched') as "isComplete",
  pg_catalog.pg_is_in_recovery() as "isStandby", current_user::pg_catalog.text as "login"
from (select 1) one left join pg_catalog.pg_namespace n on n.nspname = 'listenql'`

/** Reads the login's rights without a statement that fails: each failure would be an error in Postgres's own log. */
export async function readAccess(client: ClientBase): Promise<Access> {
  const { rows } = await client.query<{
    isInstalled: boolean
    mayEnter: boolean
    mayRefresh: boolean
    mayKey: boolean
    mayRead: boolean
    isComplete: boolean
    isStandby: boolean
    login: string
  }>(LOOK)
  const [row] = rows
  if (!row?.isInstalled) return { isInstalled: false, mayRefresh: false, mayRead: false, lacking: undefined }
  const mayRefresh = row.mayEnter && row.mayRefresh && !row.isStandby
  const mayRead = row.mayEnter && row.mayRead
  const grant = `run as the owner of schema listenql: listenql install --grant-to ${row.login}`
  let lacking: Access['lacking']
  if (row.isStandby) {
    lacking = STANDBY
  } else if (!row.isComplete) {
    lacking = {
      message: 'schema listenql is incomplete, as of a dump of some objects only',
      hint: 'run as the owner of the schema: listenql uninstall, then listenql watch TABLE',
    }
  } else if (!mayRead) {
    lacking = {
      message: `login ${row.login} may not read which tables are watched (SELECT on listenql.watched), so none is offered`,
      hint: grant,
    }
  } else if (!mayRefresh) {
    lacking = {
      message: `login ${row.login} cannot find out whether watched tables were altered (EXECUTE on listenql.refresh)`,
      hint: grant,
    }
  } else if (!row.mayKey) {
    lacking = {
      message: `login ${row.login} may not read the key of cursors (EXECUTE on listenql.cursor_key), so it delivers no changes of tables`,
      hint: grant,
    }
  }
  return { isInstalled: true, mayRefresh, mayRead, lacking }
}
