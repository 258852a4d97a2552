import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GRAPHQL_TRANSPORTS } from '../../support/clients.js'
import { query, resultOf } from '../../support/graphql-request.js'
import { createLive, endOf, type Live, nextChange } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { inSeconds, SECRET, sign } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'
import { waitUntil } from '../../support/wait.js'

const OFF = 'alter table notes disable trigger listenql_update'
const ON = 'alter table notes enable trigger listenql_update'
const NOTES = 'subscription { notesChanged { operation row { body } } }'

let log: TestLog
let roles: TestRoles
let live: Live
let lines: { readonly level: string; readonly msg: string }[]
let token: string

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  token = await sign({ role: roles.user, sub: 'ann', exp: inSeconds(600) })
})
afterAll(async () => {
  await roles.drop()
  await log.close()
})

beforeEach(async () => {
  await log.query(`create table notes (id int primary key, body text); insert into notes values (1, 'first');
    grant select on notes to ${roles.user}`)
  await log.watch('notes')
})
afterEach(async () => {
  await live.close()
  await log.query(`select listenql.unwatch('notes'); drop table notes`)
})

async function start(options: Parameters<typeof createLive>[1] = {}): Promise<void> {
  lines = []
  const logger = pino(
    { level: 'info', formatters: { level: label => ({ level: label }) } },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  )
  live = await createLive(log, { logger, ...options })
}

/** Resolves once this viewer can read the table. */
async function isReadable(): Promise<void> {
  await waitUntil(
    async () => (await resultOf(live.server.url, '{ notes { cursor } }', { token })).data,
    'a snapshot',
  )
}

const logged = (level: string) =>
  lines.filter(line => line.level === level && line.msg.startsWith('Table notes ')).map(({ msg }) => msg)

describe('while a trigger is disabled', () => {
  it.each(Object.entries(GRAPHQL_TRANSPORTS))(
    '%s: the stream ends with CURSOR_EXPIRED and reports that there is no history',
    async (_name, subscribe) => {
      await start()
      await live.ready('{ notes { cursor } }')
      const stream = await subscribe(live.server.url, NOTES, {})
      await log.query(OFF)
      const result = await stream.results.next('the end')
      expect((result.errors as unknown[])[0]).toMatchObject({
        message: expect.stringContaining('history is incomplete at the moment'),
        extensions: { code: 'CURSOR_EXPIRED', hint: expect.stringContaining('listenql status') },
      })
      await stream.close()
      await log.query(ON)
    },
  )

  it.each([
    ['a role that may read all rows', 'select'],
    [
      'a role under row-level security',
      'alter table notes enable row level security; create policy p on notes using (true)',
    ],
  ])('%s gets the same error, even if the trigger was disabled only for a moment', async (_whose, sql) => {
    await log.query(sql)
    await start({ jwtSecret: SECRET })
    for (const statements of [OFF, `${OFF}; ${ON}`]) {
      await isReadable()
      const stream = await live.subscribe(NOTES, { token })
      await log.query(`insert into notes values (${statements.length}, 'on')`)
      expect(await nextChange(stream)).toEqual({ operation: 'INSERT', row: { body: 'on' } })
      await log.query(statements)
      expect(await endOf(stream)).toBe('CURSOR_EXPIRED')
      await log.query(ON)
    }
  })

  it('a client that reconnects finds no field, then a new history and the missed rows in its snapshot', async () => {
    await start()
    await live.ready('{ notes { cursor } }')
    const stream = await live.subscribe(NOTES)
    const after = await live.cursor('notes')
    await log.query(`${OFF}; update notes set body = 'unseen'`)
    expect(await endOf(stream)).toBe('CURSOR_EXPIRED')
    await waitUntil(async () => {
      const refusal = await query(live.server.url, '{ notes { cursor } }').catch(String)
      expect(refusal).toBeTypeOf('string')
      return String(refusal).includes('Cannot query field')
    }, 'the field to go')
    await log.query(ON)
    const { notes } = await live.ready('{ notes { cursor rows { body } } }')
    const { cursor, rows } = notes as { cursor: string; rows: unknown[] }
    expect(rows).toEqual([{ body: 'unseen' }])
    expect(await live.refusal(NOTES, after)).toBe('CURSOR_EXPIRED')
    const anew = await live.subscribe(NOTES, { after: cursor })
    await log.query(`update notes set body = 'seen'`)
    expect(await nextChange(anew)).toEqual({ operation: 'UPDATE', row: { body: 'seen' } })
    await anew.close()
  })

  it('the server logs one warning, and reports a new generation only when the table is watched in it', async () => {
    await start()
    await live.ready('{ notes { cursor } }')
    const before = logged('info').length
    await log.query(OFF)
    await waitUntil(() => logged('warn')[0], 'a warning')
    expect(logged('warn')).toEqual([
      expect.stringMatching(
        /has an incomplete history.* its streams have ended: public\.notes: a trigger is disabled/,
      ),
    ])
    expect(logged('info').slice(before)).toEqual([])
    await log.query(ON)
    await waitUntil(() => logged('info')[before], 'the news')
    expect(logged('info').slice(before)).toEqual([
      expect.stringMatching(/^Table notes is watched in generation \d+ from now on\.$/),
    ])
    expect(logged('warn')).toHaveLength(1)
  })
})
