import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createLive, endOf, type Live, nextChange } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'

let log: TestLog
let live: Live
beforeAll(async () => {
  log = await createLog()
})
afterAll(() => log.close())

beforeEach(async () => {
  await log.query(`create table p (r int, v text, primary key (r)) partition by range (r);
    create table p1 partition of p for values from (0) to (100); create table t (id int primary key, v text);
    create table p9 (r int not null, v text, primary key (r)); insert into p values (1, 'a')`)
  await log.watch('p', 't')
  live = await createLive(log)
  await live.ready('{ p { cursor } t { cursor } }')
})
afterEach(async () => {
  await live.close()
  await log.query('select listenql.unwatch(relid) from listenql.watched')
  await log.query('drop table if exists p, p1, p9, t cascade')
})

const P = 'subscription { pChanged { operation row { v } } }'
const T = 'subscription { tChanged { operation row { v } } }'
const VISIT = `begin; alter table p attach partition p9 for values from (900) to (999); insert into p values (901, 'visitor');
  alter table p detach partition p9; commit`

describe('a stream ends and old cursors expire', () => {
  it.each([
    ['a partition is attached and detached', 'p', VISIT],
    ['a partition is emptied', 'p', 'truncate p1'],
    [
      'a partition is detached and attached again',
      'p',
      'alter table p detach partition p1; alter table p attach partition p1 for values from (0) to (100)',
    ],
    ['the table becomes unlogged', 't', 'alter table t set unlogged'],
    ['a partition becomes unlogged', 'p', 'alter table p1 set unlogged'],
    ['triggers are disabled', 't', 'alter table t disable trigger all'],
    [
      'triggers are disabled for a moment',
      't',
      `alter table t disable trigger user; insert into t values (1, 'unseen'); alter table t enable trigger user`,
    ],
    ['a trigger is dropped', 't', 'drop trigger listenql_update on t'],
  ])('when %s', async (_what, table, sql) => {
    const document = table === 'p' ? P : T
    const stream = await live.subscribe(document)
    const after = await live.cursor(table)
    await log.query(sql)
    for (let code: string | undefined; code === undefined; ) {
      const result = await stream.results.next('the end')
      // Events logged before the refresh may arrive, but none after the end.
      if (result.errors)
        code = await Promise.resolve(
          (result.errors as { extensions: { code: string } }[])[0]?.extensions.code,
        )
      if (code !== undefined) expect(code).toBe('CURSOR_EXPIRED')
    }
    await log.query(`alter table t set logged; alter table p1 set logged; alter table t enable trigger all`)
    await log.query('select listenql.refresh()')
    await live.ready(`{ ${table} { cursor } }`)
    expect(await live.refusal(document, after)).toBe('CURSOR_EXPIRED')
  })

  it.each([
    ['a partition was attached and detached', VISIT],
    ['a partition was emptied', 'truncate p1'],
  ])('when %s while no server ran', async (_what, sql) => {
    const after = await live.cursor('p')
    await live.close()
    await log.query(sql)
    live = await createLive(log)
    await live.ready('{ p { cursor } }')
    const late = await live.subscribe(P, { after })
    expect(await endOf(late)).toBe('CURSOR_EXPIRED')
    // And the history that begins now is whole.
    const stream = await live.subscribe(P, { after: await live.cursor('p') })
    await log.query(`insert into p values (2, 'on')`)
    expect(await nextChange(stream)).toEqual({ operation: 'INSERT', row: { v: 'on' } })
    await stream.close()
  })
})
