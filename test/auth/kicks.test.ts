import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKicks } from '../../src/auth/kicks.js'
import { createViewerQueries, type Kick } from '../../src/auth/viewer-queries.js'
import { kickCommand, readClaim } from '../../src/commands/kick.js'
import { migrate } from '../../src/log/migrations.js'
import { commandStreams } from '../support/command.js'
import { createFormerLog } from '../support/former-log.js'
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
  it("are all read by the server's login, however late they are committed", async () => {
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
      // A position ahead of this history belongs to another history.
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

  it("cannot be created or changed by the server's login", async () => {
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

  it('can be created by other roles with a grant', async () => {
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

  it('have the time of their commit, rounded up, by the clock of the database', async () => {
    const queries = createViewerQueries(server.config, 5000)
    try {
      const before = await queries.kicks(undefined)
      const client = await log.connect()
      await client.query(`begin; savepoint a; select listenql.kick('sub', 'timed'); release savepoint a`)
      const { rows } = await client.query<{ open: number }>(
        'select extract(epoch from clock_timestamp())::float8 * 1000 as open',
      )
      await client.query('commit')
      const page = await queries.kicks(before.upto)
      const at = page.kicks.find(({ value }) => value === 'timed')?.at as number
      expect(at).toBeGreaterThanOrEqual(rows[0]?.open as number)
      expect(at).toBeLessThanOrEqual(page.now + 1)
      expect(page.now).toBeGreaterThanOrEqual(before.now)
      // Rows of a dump keep their times.
      await log.query(
        `insert into listenql.kick (claim, value, at, xid) values ('sub', 'restored', '2020-01-01 00:00:00.0001+00', '3')`,
      )
      const all = await queries.kicks(undefined)
      expect(all.kicks.find(({ value }) => value === 'restored')).toMatchObject({
        at: Date.UTC(2020) + 1,
        tokens: [],
      })
    } finally {
      await queries.close()
    }
  })

  it("are extended with tokens by the server's login, and read again by all servers", async () => {
    const queries = createViewerQueries(server.config, 5000)
    try {
      await log.query(`select listenql.kick('sub', 'extended')`)
      const find = (page: { kicks: readonly Kick[] }) =>
        page.kicks.find(({ value }) => value === 'extended') as Kick
      const first = await queries.kicks(undefined)
      const { id = '', at, tokens } = find(first)
      expect(tokens).toEqual([])
      await Promise.all([queries.extendKick(id, ['a', 'b']), queries.extendKick(id, ['b', 'c'])])
      const second = await queries.kicks(first.upto)
      expect(find(second)).toMatchObject({ id, at, tokens: expect.arrayContaining(['a', 'b', 'c']) })
      expect(find(second).tokens?.length).toBe(3)
      await queries.extendKick(id, ['c'])
      expect((await queries.kicks(second.upto)).kicks).toEqual([])
      await log.query(`delete from listenql.kick where id = $1`, [id])
      await queries.extendKick(id, ['d'])
    } finally {
      await queries.close()
    }
  })

  it('from version 8 remain, and a login that read them may extend them after the upgrade', async () => {
    const former = await createFormerLog(8)
    const login = await createServerLogin(former, { granted: false })
    const asBefore = () =>
      former.query(`select json_array_length(kicks) as n, kicks->0->>'claim' as claim, kicks->0->>'value' as value,
        (kicks->0->>'at')::float8 > 0 as dated from listenql.kicks(null)`)
    try {
      await former.query(`grant usage on schema listenql to ${login.name};
        grant execute on function listenql.kicks(xid8), listenql.prune_kicks(interval) to ${login.name};
        select listenql.kick('sub', 'of old')`)
      const expected = await asBefore()
      await migrate(await former.connect())
      expect(await asBefore()).toEqual(expected)
      const queries = createViewerQueries(login.config, 5000)
      try {
        const [kick] = (await queries.kicks(undefined)).kicks
        expect(kick).toMatchObject({ value: 'of old', tokens: [] })
        await queries.extendKick(kick?.id ?? '', ['token'])
        expect((await queries.kicks(undefined)).kicks[0]?.tokens).toEqual(['token'])
      } finally {
        await queries.close()
      }
    } finally {
      await login.close()
      await former.close()
    }
  })

  it('are created by the command', async () => {
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
