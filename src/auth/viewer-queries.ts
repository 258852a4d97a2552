import type pg from 'pg'
import { createClosablePool } from '../postgres/closable-pool.js'

/** What decides whether viewers may use a role. */
export interface RoleFacts {
  readonly role: string
  /** It is the login of the server itself. */
  readonly isLogin: boolean
  /** Superuser or BYPASSRLS: row-level security does not apply to it. */
  readonly isExempt: boolean
  /** The login may SET ROLE to it. */
  readonly isMember: boolean
  /** SQL that makes the login a member. */
  readonly grant: string
}

/** Tokens in which `claim` has `value` and that were issued before `at` (ms since 1970) are no longer valid. */
export interface Kick {
  /** Undefined before version 11 of the schema. */
  readonly id?: string
  readonly claim: string
  readonly value: string
  readonly at: number
  /** Fingerprints of tokens that servers had accepted before they knew the kick, although their `iat` is later. */
  readonly tokens?: readonly string[]
}

/** The kicks that were committed since the previous call. */
export interface KickPage {
  readonly kicks: readonly Kick[]
  /** Pass it to the next call. */
  readonly upto: string
  /** By the database's clock, in ms since 1970: all kicks that were visible then have been read. */
  readonly now: number
}

export type KickAccess = 'able' | 'no schema' | 'no function' | 'no right'

/** The server's queries about viewers. Every method rejects with what `pg` throws. */
export interface ViewerQueries {
  /** The facts of those roles that exist. */
  roles(names: readonly string[]): Promise<RoleFacts[]>
  kickAccess(): Promise<KickAccess>
  /** @param since `upto` of the previous call; undefined: all kicks */
  kicks(since: string | undefined): Promise<KickPage>
  /** Adds fingerprints of tokens to a kick; does nothing if the kick was removed meanwhile. */
  extendKick(id: string, tokens: readonly string[]): Promise<void>
  /** @param age in ms */
  pruneKicks(age: number): Promise<void>
  /** Idempotent. */
  close(): Promise<void>
}

/** Longest time that one of these queries may take, in ms; nothing else reveals a dead peer. */
const QUERY_TIMEOUT_MS = 5000

// From PostgreSQL 16 on, membership alone does not allow SET ROLE (https://www.postgresql.org/docs/16/role-membership.html).
const ROLES = `
select r.rolname::text as role, r.rolname = session_user as "isLogin", r.rolsuper or r.rolbypassrls as "isExempt",
  pg_catalog.pg_has_role(session_user, r.oid,
    case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end) as "isMember",
  pg_catalog.format('grant %I to %I', r.rolname, session_user) as grant
from pg_catalog.pg_roles r where r.rolname::text = any($1::text[])`

const ACCESS = `
select case when n.oid is null then 'no schema'
  when not pg_catalog.has_schema_privilege(n.oid, 'usage') then 'no right'
  when p.oid is null then 'no function'
  when not pg_catalog.has_function_privilege(p.oid, 'execute') then 'no right' else 'able' end as access
from (select 1) one left join pg_catalog.pg_namespace n on n.nspname = 'listenql'
  left join pg_catalog.pg_proc p on p.pronamespace = n.oid and p.proname = 'kicks'`

export function createViewerQueries(config: pg.ClientConfig, connectTimeout: number): ViewerQueries {
  const { pool, close } = createClosablePool({
    ...config,
    application_name: 'listenql viewers',
    connectionTimeoutMillis: connectTimeout,
    query_timeout: QUERY_TIMEOUT_MS,
    max: 2,
  })
  return {
    async roles(names) {
      return (await pool.query<RoleFacts>(ROLES, [names])).rows
    },
    async kickAccess() {
      return (await pool.query<{ access: KickAccess }>(ACCESS)).rows[0]?.access ?? 'no schema'
    },
    async kicks(since) {
      // The statement's own time is not later than its snapshot.
      const { rows } = await pool.query<{ upto: string; kicks: Kick[] | null; now: number }>(
        `select upto::text, kicks, pg_catalog.floor(extract(epoch from pg_catalog.statement_timestamp()) * 1000)::float8 as now
         from listenql.kicks($1::text::xid8)`,
        [since ?? null],
      )
      const [row] = rows
      return { kicks: row?.kicks ?? [], upto: row?.upto as string, now: row?.now as number }
    },
    async extendKick(id, tokens) {
      await pool.query('select listenql.extend_kick($1::text::bigint, $2::text[])', [id, tokens])
    },
    async pruneKicks(age) {
      await pool.query('select listenql.prune_kicks(make_interval(secs => $1))', [age / 1000])
    },
    close,
  }
}
