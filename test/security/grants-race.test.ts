import pg from 'pg'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { createTableAccess, type TableAccess } from '../../src/rls/table-access.js'
import { GRAPHQL_TRANSPORTS } from '../support/clients.js'
import { resultOf } from '../support/graphql-request.js'
import { inSeconds, SECRET, sign } from '../support/tokens.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../support/viewers.js'
import { waitUntil } from '../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let table: WatchedTable

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('reader')
  table = await watched.table('id int primary key, a text, b text', 'plain')
  await admin(`grant select (id, a) on plain to ${role}; insert into plain values (1, 'x', 'y')`)
})
afterAll(async () => {
  await roles.close()
  await watched.close()
})

const admin = (sql: string) => watched.log.database.query(sql)

/** Delays the next statement that asks which columns a role may read, until `letGo` is called. */
function holdBack(): { readonly asked: Promise<void>; letGo(): void } {
  const asked = createDeferred()
  const gate = createDeferred()
  const query = pg.Client.prototype.query as (this: pg.Client, ...args: unknown[]) => unknown
  const spy = vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...args) {
    const [config] = args as unknown as [string | { text: string }]
    const text = typeof config === 'string' ? config : config.text
    if (!text.includes('has_column_privilege')) return query.apply(this, args) as never
    spy.mockRestore()
    asked.resolve()
    return gate.promise.then(() => query.apply(this, args)) as never
  })
  return { asked: asked.promise, letGo: gate.resolve }
}

/**
 * A check reads a digest of the catalogue and then the privileges. If a GRANT commits between the two and is revoked before the next
 * check, the catalogue matches the digest again, while the privileges that were read include the grant.
 */
it('notices a REVOKE that undoes a GRANT which committed in the middle of a check', async () => {
  await admin(`grant select (b) on plain to ${role}; revoke select (b) on plain from ${role}`)
  const access: TableAccess = createTableAccess({
    config: watched.server.config,
    connectTimeout: 5000,
    reconnectMax: 100,
    catalogInterval: 300,
    observe: () => undefined,
  })
  access.start()
  const claim = { viewer: viewerOf(role), table, columns: ['b'], seesAll: true }
  await access.assert({ ...claim, columns: ['id'] })
  const held = holdBack()
  await held.asked
  await admin(`grant select (b) on plain to ${role}`)
  held.letGo()
  await waitUntil(async () => (await access.rightsOf(role, table)).columns.includes('b'), 'the grant')
  await access.assert(claim)
  const lost = new Promise<string>(resolve => access.hold(claim, error => resolve(error.message)))
  await admin(`revoke select (b) on plain from ${role}`)
  expect(await lost).toBe(`role ${role} may not read column b of table plain`)
  await access.close()
})

it.each(Object.entries(GRAPHQL_TRANSPORTS))(
  'over %s, under load, each accepted subscription gets its first event, and ends when the grant is revoked',
  async (_name, subscribe) => {
    const server: ListenqlServer = await createServer({
      databaseUrl: watched.log.database.url,
      port: 0,
      logLevel: 'silent',
      jwtSecret: SECRET,
      catalogInterval: 10,
    })
    await admin(`grant ${role} to ${watched.log.database.name}`)
    const token = await sign({ role, sub: 'ann', exp: inSeconds(600) })
    const refusal = (result: Record<string, unknown>) =>
      (result as { errors?: { message: string }[] }).errors?.[0]?.message
    const readable = async () => {
      const result = await resultOf(server.url, '{ watchedTables { columns { name } } }', { token })
      const { data } = result as { data?: { watchedTables: { columns: { name: string }[] }[] } }
      return (data as NonNullable<typeof data>).watchedTables.flatMap(({ columns }) =>
        columns.map(({ name }) => name),
      )
    }
    let isBusy = true
    const busy = (async () => {
      while (isBusy) {
        for (const until = performance.now() + 4; performance.now() < until; );
        await new Promise(resolve => setImmediate(resolve))
      }
    })()
    for (let round = 0; round < 25; round++) {
      await admin(`grant select (b) on plain to ${role}`)
      // Sometimes a check finds the grant before anything needs it.
      if (round % 2) await waitUntil(async () => (await readable()).includes('b'), 'a look to find the grant')
      const stream = await waitUntil(async () => {
        const one = await subscribe(
          server.url,
          'subscription { plainChanged { row { id b } } }',
          {},
          { token },
        ).catch(() => undefined)
        if (!one) return undefined
        await admin(`update plain set b = 'round ${round}'`)
        return refusal(await one.results.next()) === undefined ? one : undefined
      }, 'the grant to be noticed')
      await admin(`revoke select (b) on plain from ${role}`)
      const end = await waitUntil(async () => refusal(await stream.results.next('the end')), 'the end')
      expect([round, end]).toEqual([round, `role ${role} may not read column b of table plain`])
      await stream.close()
    }
    isBusy = false
    await busy
    await server.close()
  },
  120_000,
)
