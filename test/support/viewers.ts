import pg from 'pg'
import type { Viewer } from '../../src/auth/viewer.js'
import type { Row } from './postgres.js'
import type { WatchedLog } from './watched-log.js'

/** Roles of one test database that the server's login may take. */
export interface ViewerRoles {
  /** Creates a role `NAME_database`, and returns its full name. @param options in the syntax of CREATE ROLE */
  add(name: string, options?: string): Promise<string>
  /** Returns the rows of a query that the server's login runs under the role and claims of a viewer. */
  asViewer(viewer: Viewer, sql: string): Promise<Row[]>
  close(): Promise<void>
}

export function createViewerRoles({ log, client, server }: WatchedLog): ViewerRoles {
  const made: string[] = []
  return {
    async add(name, options = '') {
      const role = `${name}_${log.database.name}`
      const quoted = pg.escapeIdentifier(role)
      await log.database.query(`create role ${quoted} ${options}`)
      await log.database.query(`grant ${quoted} to ${server.name}`)
      made.push(quoted)
      return role
    },
    async asViewer({ role, claims }, sql) {
      await client.query('begin; discard plans')
      try {
        await client.query(`set local role ${pg.escapeIdentifier(role ?? 'none')}`)
        await client.query(`select set_config('request.jwt.claims', $1, true)`, [JSON.stringify(claims)])
        return (await client.query<Row>(sql)).rows
      } finally {
        await client.query('rollback')
      }
    },
    async close() {
      for (const role of made.splice(0)) {
        await log.database.query(`drop owned by ${role} cascade`)
        await log.database.query(`drop role ${role}`)
      }
    },
  }
}

export function viewerOf(role: string, claims: Viewer['claims'] = {}): Viewer {
  return { role, claims, issuedAt: undefined, expiresAt: undefined }
}
