import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKicks } from '../../src/auth/kicks.js'
import { kickCommand, readClaim } from '../../src/commands/kick.js'
import { createViewerQueries } from '../../src/database/viewer-queries.js'
import { commandStreams } from '../support/command.js'
import { createLog, refusal, type TestLog } from '../support/log.js'
import { createServerLogin, type ServerLogin } from '../support/server-login.js'

let log: TestLog
let server: ServerLogin
beforeAll(async () => {
  log = await createLog()
  server = await createServerLogin(log)
})
afterAll(async () => {
  await server?.close()
  await log?.close()
})

describe('kicks in the database', () => {
  it('are read by the login of the server, whole, however late they are committed', async () => {
    const queries = createViewerQueries(server.config, 5000)
    try {
      expect(await queries.kickAccess()).toBe('able')
      const late = await log.connect()
      await late.query('begin')
      await late.query(`select listenql.kick('sub', 'late')`)
      await log.query(`select listenql.kick('sub', 'soon')`)
      const first = await queries.kicks(undefined)
      expect(first.kicks.map(({ value }) => value)).toEqual(['soon'])
      await late.query('commit')
      await log.query(`select listenql.kick('org', 'x')`)
      const second = await queries.kicks(first.upto)
      expect(second.kicks.map(({ value }) => value)).toEqual(expect.arrayContaining(['late', 'x']))
      const third = await queries.kicks(second.upto)
      expect(third.kicks).toEqual([])
      // A position ahead of this history: it is another one.
      const other = await queries.kicks(String(2n ** 60n))
      expect(other.kicks.length).toBe(3)
      expect(Math.abs(Date.now() - (other.kicks[0]?.at ?? 0))).toBeLessThan(3_600_000)
      await queries.pruneKicks(3_600_000)
      expect((await queries.kicks(undefined)).kicks.length).toBe(3)
      await queries.pruneKicks(0)
      expect((await queries.kicks(undefined)).kicks).toEqual([])
    } finally {
      await queries.close()
    }
  })

  it('are not for the login of the server to make, or to touch', async () => {
    const client = await server.connect()
    for (const sql of [
      `select listenql.kick('sub', '42')`,
      `insert into listenql.kick (claim, value) values ('sub', '42')`,
      'delete from listenql.kick',
      'table listenql.kick',
    ]) {
      expect(await refusal(client.query(sql))).toBe('42501')
    }
  })

  it('are a grant for others', async () => {
    const name = `${log.database.name}_kicker`
    await log.database.query(`create role ${name}`)
    await log.query(
      `grant usage on schema listenql to ${name}; grant execute on function listenql.kick(text, text) to ${name}`,
    )
    await log.database.query(`begin; set local role ${name}; select listenql.kick('sub', 'by grant'); commit`)
    expect(await log.query(`select value from listenql.kick`)).toEqual([{ value: 'by grant' }])
    for (const args of [`'', 'x'`, `'sub', ''`, `null, 'x'`, `'sub', null`]) {
      expect(await refusal(log.query(`select listenql.kick(${args})`))).toBe('22023')
    }
    await log.database.query(`drop owned by ${name} cascade; drop role ${name}`)
  })

  it('are made by the command', async () => {
    const io = commandStreams()
    expect(readClaim('sub=a=b')).toEqual({ claim: 'sub', value: 'a=b' })
    for (const wrong of [undefined, 'sub', 'sub=', '=42', '']) {
      expect(() => readClaim(wrong)).toThrow(expect.objectContaining({ code: 'BAD_CONFIGURATION' }))
    }
    const config = { connectionString: log.database.url }
    expect(await kickCommand({ config }, { claim: 'sub', value: "4'2" }, io)).toBe(0)
    expect(io.out()).toMatch(/^kicked: .*sub = 4'2/)
    expect(await log.query(`select claim from listenql.kick where value = '4''2'`)).toEqual([
      { claim: 'sub' },
    ])
    await expect(
      kickCommand({ config: server.config }, { claim: 'sub', value: '1' }, io),
    ).rejects.toMatchObject({
      code: 'DATABASE_FAILED',
      message: 'this login may not kick',
    })
    await expect(
      kickCommand(
        { config: { connectionString: log.database.adminUrl.replace(/[^/]*$/, 'postgres') } },
        { claim: 'a', value: 'b' },
        io,
      ),
    ).rejects.toMatchObject({ code: 'DATABASE_FAILED', hint: expect.stringContaining('listenql install') })
  })
})

describe('a kick', () => {
  const kicks = createKicks()
  kicks.add([
    { claim: 'sub', value: '42', at: 1000 },
    { claim: 'app.groups', value: 'staff', at: 2000 },
  ])
  it.each<[Record<string, unknown>, number | undefined, boolean]>([
    [{ sub: '42' }, 999, true],
    [{ sub: 42 }, 999, true],
    [{ sub: '42' }, undefined, true],
    [{ sub: '42' }, 1000, false],
    [{ sub: '43' }, 999, false],
    [{}, undefined, false],
    [{ app: { groups: ['staff', 'x'] } }, 1999, true],
    [{ app: { groups: ['x'] } }, 1999, false],
    [{ sub: { toString: '42' } }, 0, false],
  ])('hits %j issued at %s: %s', (claims, issuedAt, expected) => {
    expect(kicks.hits({ claims, issuedAt })).toBe(expected)
  })

  it('is new once, and forgotten', () => {
    expect(kicks.add([{ claim: 'sub', value: '42', at: 1000 }])).toBe(false)
    expect(kicks.add([{ claim: 'sub', value: '42', at: 1500 }])).toBe(true)
    expect(kicks.hits({ claims: { sub: '42' }, issuedAt: 1200 })).toBe(true)
    kicks.forget(1600)
    expect(kicks.hits({ claims: { sub: '42' }, issuedAt: 1200 })).toBe(false)
    expect(kicks.hits({ claims: { app: { groups: ['staff'] } }, issuedAt: 0 })).toBe(true)
  })
})
