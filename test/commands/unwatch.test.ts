import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type UnwatchArguments, unwatchCommand } from '../../src/commands/unwatch.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { commandStreams } from '../support/command.js'
import { createLog, type TestLog } from '../support/log.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog()
  await log.query('create schema chat; create table chat.messages (id int); create table chat.draft (id int)')
  await log.query('create table people (id int); create table visits (id int); create table plain (id int)')
})
afterAll(() => log.close())
beforeEach(() => log.watch('people', 'visits', 'chat.messages', 'chat.draft'))

/** @param answer what a user types; undefined: there is no terminal */
async function unwatch(
  tables: readonly string[],
  argv: Partial<UnwatchArguments> & { answer?: string } = {},
) {
  const { answer, ...more } = argv
  const io = commandStreams(answer)
  const config = connectionOptions(log.database.url)
  const code = await unwatchCommand({ config }, { patience: 300, ...more, tables }, io)
  return { code, out: io.out(), err: io.err() }
}
const watched = async () =>
  (await log.query('select relid::regclass::text as name from listenql.watched order by 1')).map(
    ({ name }) => name,
  )

describe('unwatch with patterns', () => {
  it('lists the tables and asks, and stops watching them after a yes', async () => {
    const { code, out, err } = await unwatch(['!people'], { all: true, answer: 'yes\n' })
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('chat.draft\nchat.messages\nvisits\n')
    expect(out).toContain('Stop watching 3 tables, and end the subscriptions and cursors of them? Type yes: ')
    expect(out).toContain('visits is no longer watched\n')
    expect(await watched()).toEqual(['people'])
  })

  it('changes nothing after any other answer', async () => {
    const { code, out } = await unwatch([], { all: true, answer: 'no\n' })
    expect(code).toBe(1)
    expect(out).toContain('nothing was changed\n')
    expect((await watched()).length).toBe(4)
    await log.query('create table other (id int)')
    expect((await unwatch(['other', 'people'], { dryRun: true })).out).toBe(
      'other is not watched\npeople would no longer be watched\n1 table would no longer be watched; nothing was changed\n',
    )
  })

  it('needs --yes where there is no terminal, and says so', async () => {
    await expect(unwatch(['chat.*'])).rejects.toMatchObject({
      code: 'BAD_CONFIGURATION',
      message: 'this stops watching 2 tables, and stdin is no terminal on which you could confirm it',
      hint: `if that is what you want: listenql unwatch --yes 'chat.*'`,
    })
    expect((await unwatch(['chat.*'], { yes: true })).code).toBe(0)
    expect(await watched()).toEqual(['people', 'visits'])
  })

  it('does not ask about tables that are named', async () => {
    expect(await unwatch(['people', 'visits'])).toMatchObject({ code: 0 })
    expect(await watched()).toEqual(['chat.draft', 'chat.messages'])
  })

  it('prints in a dry run what it would do, and changes nothing', async () => {
    expect(await unwatch(['!chat.draft'], { schemas: ['chat'], dryRun: true })).toEqual({
      code: 0,
      out: 'chat.messages would no longer be watched\n1 table would no longer be watched; nothing was changed\n',
      err: '',
    })
    expect((await watched()).length).toBe(4)
  })

  it('includes tables that were dropped', async () => {
    await log.query('create table gone (id int)')
    await log.watch('gone')
    await log.query('drop table gone')
    expect((await unwatch(['g*'], { yes: true })).out).toBe('public.gone is no longer watched\n')
    expect(await log.query(`select from listenql.watched_table where table_name = 'gone'`)).toEqual([])
  })

  it('fails for a pattern that no watched table matches', async () => {
    expect(await unwatch(['pl*', 'chat.d*'], { yes: true })).toEqual({
      code: 1,
      out: 'chat.draft is no longer watched\n',
      err: 'listenql: pl*: no watched table matches\n',
    })
  })
})
