import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installCommand } from '../../src/commands/install.js'
import { statusCommand } from '../../src/commands/status.js'
import { watchCommand } from '../../src/commands/watch.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { commandStreams } from '../support/command.js'
import { query } from '../support/graphql-request.js'
import { createLive, endOf, type Live, nextChange } from '../support/live.js'
import { createLog, type TestLog } from '../support/log.js'

/**
 * Characters that exist in an encoding, in the order of its bytes where that differs from the order of code
 * points.
 */
const ENCODINGS: Readonly<Record<string, string>> = {
  LATIN1: 'aZéßÿ~',
  LATIN2: 'aZłóŁŕ',
  KOI8R: 'aZюЮцЖя═',
  EUC_JP: 'aZ日本ｱ語あ',
  WIN1252: 'aZ€é™Ÿ',
  SQL_ASCII: 'aZ日é€𝄞',
}
/** Characters that exist in none of the first five. */
const LACKING = ['🎉', 'ქ', 'a🎉', '\u{10000}']

describe.each(Object.entries(ENCODINGS))('a database in %s', (encoding, characters) => {
  let log: TestLog
  let live: Live
  const all = [...characters]
  const word = all.join('')
  const target = () => ({ config: connectionOptions(log.database.url), serverLogin: undefined })
  async function run(command: (io: ReturnType<typeof commandStreams>) => Promise<number>): Promise<string> {
    const io = commandStreams()
    expect([await command(io), io.err()]).toEqual([0, ''])
    return io.out()
  }

  beforeAll(async () => {
    log = await createLog({ migrated: false, encoding })
    await run(io => installCommand(target(), { grantTo: undefined }, io))
    await log.query(
      `create table t (id int primary key, name text, code varchar(30), fixed char(30), "${word}" text)`,
    )
    await run(io =>
      watchCommand(target(), { tables: ['t'], always: false, grantTo: undefined, patience: 5000 }, io),
    )
    live = await createLive(log, { publish: ['*'], channels: ['*'] })
    await live.ready('{ t { cursor } }')
  })
  afterAll(async () => {
    await live.close()
    await log.close()
  })

  it('streams, resumes, reads snapshots and reports the status', async () => {
    const start = await live.cursor('t')
    const stream = await live.subscribe('subscription { tChanged { operation row { name code fixed } } }')
    await log.query(`insert into t values (1, $1::text, $1, $1, $1)`, [word])
    const change = await nextChange(stream)
    expect(change).toMatchObject({ operation: 'INSERT', row: { name: word, code: word } })
    expect(String((change.row as { fixed: string }).fixed).trimEnd()).toBe(word)
    const late = await live.subscribe('subscription { tChanged { row { name } } }', { after: start })
    expect(await nextChange(late)).toEqual({ row: { name: word } })
    expect(await query(live.server.url, '{ t { rows { name code } } }')).toEqual({
      t: { rows: [{ name: word, code: word }] },
    })
    expect(
      await run(io =>
        statusCommand(target(), { retention: 86_400_000, maxLogSize: undefined }, { json: false }, io),
      ),
    ).toMatch(/ t +\| 20/)
    await log.query('delete from t')
    await late.close()
    await stream.close()
  })

  it('filters and sorts in snapshots as in changes, even by texts that the encoding lacks', {
    timeout: 120_000,
  }, async () => {
    const texts = fc.array(fc.constantFrom(...all), { maxLength: 4 }).map(chars => chars.join(''))
    const asked = fc.oneof(
      { arbitrary: texts, weight: 3 },
      { arbitrary: fc.constantFrom(...LACKING, word), weight: 1 },
    )
    const pattern = fc
      .array(
        fc.oneof(fc.constantFrom('%', '_', '\\%'), fc.constantFrom(...all), fc.constantFrom(...LACKING)),
        { maxLength: 5 },
      )
      .map(parts => parts.join(''))
    const condition = fc.oneof(
      fc.record({ op: fc.constantFrom('eq', 'neq', 'gt', 'gte', 'lt', 'lte'), value: asked }),
      fc.record({ op: fc.constantFrom('in', 'notIn'), value: fc.array(asked, { maxLength: 3 }) }),
      fc.record({ op: fc.constantFrom('like', 'ilike'), value: pattern }),
    )
    const filters = fc
      .sample(fc.record({ condition, column: fc.constantFrom('name', 'code', 'fixed'), not: fc.boolean() }), {
        numRuns: 120,
        seed: 42,
      })
      .map(({ condition: { op, value }, column, not }) => ({
        [column]: { [op]: value },
        ...(not && { not: { id: { eq: -1 } } }),
      }))
      .map((filter, i) => (i % 3 ? filter : { not: filter }))
    const rows = [null, '', ...fc.sample(texts, { numRuns: 25, seed: 7 }), ...all]
    const expected = new Map<string, number[]>()
    const streams = await Promise.all(
      filters.map(where =>
        live.subscribe(
          'subscription ($where: TFilter) { tChanged(where: $where) { operation row { id } } }',
          {
            variables: { where },
          },
        ),
      ),
    )
    for (const [id, text] of rows.entries())
      await log.query('insert into t (id, name, code, fixed) values ($1, $2::text, $2, $2)', [id, text])
    await log.query('truncate t; insert into t (id) values (-1)')
    for (const [i, where] of filters.entries()) {
      const received: number[] = []
      for (;;) {
        const result = await (streams[i] as (typeof streams)[number]).results.next('the rows, and TRUNCATE')
        const { tChanged } = result.data as { tChanged: { operation: string; row: { id: number } | null } }
        if (tChanged.operation === 'TRUNCATE') break
        // A row that was just deleted may still arrive.
        if (tChanged.operation === 'INSERT' && tChanged.row) received.push(tChanged.row.id)
      }
      expected.set(JSON.stringify(where), received)
    }
    const selective = [...expected.values()].filter(ids => ids.length > 0 && ids.length < rows.length)
    expect(selective.length).toBeGreaterThan(30)
    await log.query('delete from t')
    for (const [id, text] of rows.entries())
      await log.query('insert into t (id, name, code, fixed) values ($1, $2::text, $2, $2)', [id, text])
    for (const where of filters) {
      const { t } = await query(
        live.server.url,
        'query ($where: TFilter) { t(where: $where, limit: 1000, orderBy: [{id: ASC}]) { rows { id } } }',
        { where },
      )
      expect(
        (t as { rows: { id: number }[] }).rows.map(({ id }) => id),
        JSON.stringify(where),
      ).toEqual(expected.get(JSON.stringify(where)))
    }
    const { t } = await query(
      live.server.url,
      '{ t(limit: 1000, where: {name: {isNull: false}}, orderBy: [{name: ASC}, {id: ASC}]) { rows { name } } }',
    )
    const names = (t as { rows: { name: string }[] }).rows.map(({ name }) => name)
    expect(names).toEqual([...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
    await Promise.all(streams.map(stream => stream.close()))
    await log.query('delete from t')
  })

  it('carries channel names and payloads of its encoding, and refuses only the others', async () => {
    const has = await live.subscribe(
      'subscription ($name: String!) { channel(name: $name) { payload gap } }',
      { variables: { name: word } },
    )
    if (encoding !== 'SQL_ASCII') {
      const lacks = await live.subscribe(
        'subscription ($name: String!) { channel(name: $name) { payload } }',
        { variables: { name: '🎉' } },
      )
      expect(await endOf(lacks)).toBe('CHANNEL_NAME_INVALID')
    }
    const notify =
      'mutation ($channel: String!, $payload: String!) { notify(channel: $channel, payload: $payload) }'
    await query(live.server.url, notify, { channel: word, payload: word })
    expect(await nextChange(has)).toEqual({ payload: word, gap: false })
    if (encoding !== 'SQL_ASCII')
      await expect(query(live.server.url, notify, { channel: word, payload: '🎉' })).rejects.toThrow(
        'PAYLOAD_INVALID',
      )
    await log.query('select listenql.publish($1, $2)', [word, word])
    expect(await nextChange(has)).toEqual({ payload: word, gap: false })
    await has.close()
  })

  it('watches tables and schemas with such names', async () => {
    const [schema, table] = [pg.escapeIdentifier(`s${word}`), pg.escapeIdentifier(`t${word}`)]
    await log.query(
      `create schema ${schema}; create table ${schema}.${table} (id int primary key, ${table} text)`,
    )
    const shown = await run(io =>
      watchCommand(
        target(),
        { tables: [`${schema}.${table}`], always: false, grantTo: undefined, patience: 5000 },
        io,
      ),
    )
    const [, field] = /query (\w+)/.exec(shown) ?? []
    await live.ready(`{ ${field} { cursor } }`)
    const stream = await live.subscribe(`subscription { ${field}Changed { operation } }`)
    await log.query(`insert into ${schema}.${table} values (1, $1)`, [word])
    expect(await nextChange(stream)).toEqual({ operation: 'INSERT' })
    await stream.close()
  })
})
