import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readRelations, readWatched } from '../../src/catalog/relations.js'
import { planWatch } from '../../src/catalog/watch-plan.js'
import { parseTablePattern } from '../../src/lib/patterns/table-pattern.js'
import { createLog, type TestLog } from '../support/log.js'

let log: TestLog
let client: Awaited<ReturnType<TestLog['connect']>>
beforeAll(async () => {
  log = await createLog()
  await log.query(`create schema chat; create table plain (id int); create table "Odd.Name" (id int); create table chat.plain (id int);
    create table root (id int) partition by list (id); create table leaf partition of root for values in (1);
    create table sub partition of root for values in (2) partition by list (id); create table subleaf partition of sub for values in (2);
    create table parent (id int); create table child (w int) inherits (parent);
    create table half (id int) partition by list (id); create unlogged table half1 partition of half for values in (1);
    create table shared_root (id int); create table of_extension (id int); create view seen as select 1`)
  client = await log.connect()
  await client.query('create temp table passing (id int)')
  // An extension of the test's own would need files on the server: this is the same mark in the catalogue.
  await log.database.query(`insert into pg_depend (classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype)
    select 'pg_class'::regclass, 'of_extension'::regclass, 0, 'pg_extension'::regclass, e.oid, 0, 'e' from pg_extension e where extname = 'plpgsql'`)
})
afterAll(async () => {
  await log.database.query(`delete from pg_depend where objid = 'of_extension'::regclass and deptype = 'e'`)
  await log.close()
})

async function plan(...patterns: string[]) {
  const { toWatch, already, skipped, others, unmatched } = planWatch(
    patterns.map(parseTablePattern),
    await readRelations(client),
    await readWatched(client),
  )
  return {
    toWatch: toWatch.map(({ shown }) => shown),
    already: already.map(({ shown }) => shown),
    skipped: Object.fromEntries(skipped.map(({ relation, reason }) => [relation.shown, reason])),
    others: others.map(({ shown }) => shown),
    unmatched: unmatched.map(({ text }) => text),
  }
}

describe('planWatch', () => {
  it('selects tables, and gives a reason for everything else', async () => {
    const { toWatch, skipped } = await plan('*.*')
    expect(toWatch).toEqual(['chat.plain', '"Odd.Name"', 'parent', 'plain', 'root', 'shared_root'])
    expect(skipped).toEqual({
      passing: 'is temporary',
      child: 'is a part of parent, and parts are watched with their table',
      half: 'has a part that cannot be watched: half1 is unlogged or a foreign table',
      half1: 'is a part of half, and parts are watched with their table',
      leaf: 'is a part of root, and parts are watched with their table',
      of_extension: 'belongs to the extension plpgsql',
      seen: 'is a view',
      sub: 'is a part of root, and parts are watched with their table',
      subleaf: 'is a part of root, and parts are watched with their table',
    })
  })

  it('watches the table of an extension that is named', async () => {
    expect(await plan('of_*', 'of_extension')).toMatchObject({ toWatch: ['of_extension'], skipped: {} })
  })

  it('finds names without a schema in the search_path of the login only', async () => {
    expect((await plan('plain')).toWatch).toEqual(['plain'])
    await client.query('set search_path = chat, public')
    try {
      // Names are shown as this login writes them.
      expect((await plan('plain', '!chat.*')).toWatch).toEqual([])
      expect((await plan('plain', '!public.*')).toWatch).toEqual(['plain'])
    } finally {
      await client.query('reset search_path')
    }
  })

  it('knows what is watched, what is watched and not selected, and patterns without a table', async () => {
    await log.watch('plain', 'parent')
    try {
      expect(await plan('p*', '!parent', 'x*', '!y')).toEqual({
        toWatch: [],
        already: ['plain'],
        skipped: { passing: 'is temporary' },
        others: ['parent'],
        unmatched: ['x*', '!y'],
      })
      await log.query('drop trigger listenql_update on plain; alter table parent disable trigger user')
      await log.query('select listenql.refresh()')
      // Without a history: watching it again repairs what can be repaired.
      expect((await plan('parent')).toWatch).toEqual(['parent'])
    } finally {
      await log.query('select listenql.unwatch(relid) from listenql.watched')
    }
  })

  it('says which tables the login may not put triggers on', async () => {
    await log.database.query('create table public.foreign_owned (id int)')
    try {
      expect((await plan('foreign*')).skipped).toEqual({
        foreign_owned: 'needs the privilege TRIGGER, which this login lacks',
      })
      await log.database.query(`grant trigger on public.foreign_owned to ${log.database.name}`)
      expect((await plan('foreign*')).toWatch).toEqual(['foreign_owned'])
    } finally {
      await log.database.query('drop table public.foreign_owned')
    }
  })
})

describe('readRelations', () => {
  it('lists what belongs to the system on request only', async () => {
    const all = await readRelations(client, { system: true })
    const own = await readRelations(client)
    expect(all.filter(({ isOfSystem }) => !isOfSystem)).toEqual(own)
    const schemas = new Set(all.filter(({ isOfSystem }) => isOfSystem).map(({ schema }) => schema))
    expect([...schemas].sort()).toEqual(['information_schema', 'listenql', 'pg_catalog'])
  })
})
