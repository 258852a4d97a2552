import type pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { beginCut } from '../../src/snapshots/snapshot-cut.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
beforeAll(async () => {
  watched = await createWatchedLog()
})
afterAll(() => watched.close())

it('the snapshot of a cut is taken after `onTaking`: requests up to then see what was committed before them', async () => {
  await watched.table('id int primary key', 'seen')
  const client = await watched.server.connect()
  let began = 0
  // Commits a row between the statements of `beginCut`.
  const slow = new Proxy(client, {
    get(target, name) {
      if (name !== 'query') return Reflect.get(target, name)
      return async (text: string) => {
        if (began++ === 1) await watched.log.query('insert into seen values (1)')
        return target.query(text)
      }
    },
  }) as pg.Client
  const taken: number[] = []
  await beginCut(slow, {
    queryTimeout: 5000,
    signal: new AbortController().signal,
    onTaking: () => taken.push(began),
  })
  expect(taken).toEqual([1])
  const { rows } = await client.query('select id from public.seen')
  expect(rows).toEqual([{ id: 1 }])
  await client.query('rollback')
})
