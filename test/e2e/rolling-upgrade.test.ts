import { afterEach, describe, expect, it } from 'vitest'
import { readMigrations } from '../../src/log/migration-files.js'
import { installedVersion, migrate } from '../../src/log/migrations.js'
import { createFormerLog } from '../support/former-log.js'
import type { TestLog } from '../support/log.js'
import { type Change, RESUMING_CLIENTS } from '../support/resuming-clients.js'
import { type ServerProcess, startServerProcess } from '../support/server-process.js'
import { waitUntil } from '../support/wait.js'

/*
 * The steps of docs/versions.md under writers and subscribers: the servers are replaced one at a time, before and after the schema is
 * upgraded. Each change arrives once at each subscriber.
 */

const closing: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Inserts rows 1, 2, 3 … and updates each, until it is stopped. @returns the number of rows */
function write(log: TestLog): { count(): number; stop(): Promise<number> } {
  let rows = 0
  let isOver = false
  const writing = (async () => {
    while (!isOver) {
      await log.query('insert into people values ($1, $2)', [rows + 1, 'new'])
      rows++
      await log.query(
        `begin; update people set name = 'old' where pk = ${rows}; select pg_notify('other', ''); commit`,
      )
    }
  })()
  return {
    count: () => rows,
    async stop() {
      isOver = true
      await writing
      return rows
    },
  }
}

for (const version of [8, readMigrations().length - 1])
  describe(`from schema version ${version}`, () => {
    it('servers are replaced one at a time, and nothing is lost or delivered twice', {
      timeout: 120_000,
    }, async () => {
      const log = await createFormerLog(version)
      closing.push(() => log.close())
      await log.query('create table people (pk int primary key, name text)')
      await log.watch('people')
      const servers: ServerProcess[] = []
      for (let i = 0; i < 3; i++) {
        const server = await startServerProcess(log.database.url)
        servers.push(server)
        closing.push(() => server.kill())
      }
      const subscribers = servers.flatMap(({ url }) =>
        Object.values(RESUMING_CLIENTS).map(create => {
          const client = create({ url: `${url.replace('http', 'ws')}/graphql` })
          const changes: Change[] = []
          const errors: string[] = []
          client.follow('subscription { peopleChanged { operation cursor row { pk } } }', {
            change: change => changes.push(change),
            error: code => errors.push(code),
            end: () => errors.push('end'),
          })
          closing.push(() => client.close())
          return { changes, errors }
        }),
      )
      const writer = write(log)
      // Before its first change, a subscriber has nothing to resume after.
      await waitUntil(
        () => subscribers.every(({ changes }) => changes.length > 0),
        'each subscriber to get a change',
      )
      const more = async () => {
        const before = writer.count()
        await waitUntil(() => writer.count() > before + 20, 'more rows')
      }

      const [first, ...others] = servers as [ServerProcess, ...ServerProcess[]]
      await first.stop()
      await more()
      await first.start()
      expect((await migrate(await log.connect())).to).toBe(readMigrations().length)
      await more()
      for (const server of others) {
        await server.stop()
        await more()
        await server.start()
        await more()
      }

      const rows = await writer.stop()
      const last = (changes: readonly Change[]) => changes.at(-1)
      await waitUntil(
        () =>
          subscribers.every(
            ({ changes }) => last(changes)?.row?.pk === rows && last(changes)?.operation === 'UPDATE',
          ),
        'each subscriber to have the last change',
      )
      for (const { changes, errors } of subscribers) {
        expect(errors).toEqual([])
        const from = changes[0]?.row?.pk as number
        const expected = Array.from({ length: rows - from + 1 }, (_, i) => [
          `INSERT ${from + i}`,
          `UPDATE ${from + i}`,
        ]).flat()
        const actual = changes.map(({ operation, row }) => `${operation} ${row?.pk}`)
        expect(actual).toEqual(changes[0]?.operation === 'INSERT' ? expected : expected.slice(1))
      }
    })
  })

it('an older program refuses a newer schema, and changes nothing', async () => {
  const log = await createFormerLog(readMigrations().length)
  closing.push(() => log.close())
  const older = readMigrations().slice(0, -1)
  const client = await log.connect()
  const objects = () =>
    log.query(
      `select p.oid, p.prosrc from pg_proc p where p.pronamespace = 'listenql'::regnamespace order by 1`,
    )
  const before = await objects()
  await expect(migrate(client, { migrations: older })).rejects.toMatchObject({
    code: 'DATABASE_FAILED',
    hint: 'the schema was installed by a newer listenql: run that version',
  })
  expect(await objects()).toEqual(before)
  expect(await installedVersion(client)).toBe(readMigrations().length)
})
