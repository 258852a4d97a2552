import { expect, it } from 'vitest'
import { endOfBatch, type Position } from '../../../src/log/position.js'
import type { KnownTables } from '../../../src/sources/tables/known-tables.js'
import { createTableReplays } from '../../../src/sources/tables/table-replay.js'

const end = (n: number) => endOfBatch({ n, token: 1 })
const within = (n: number): Position => ({ n, token: 1, ord: 1, statement: 1, id: 1 })

/** The position of a subscriber to a table whose history begins at the end of batch 7. */
function startAt(log: Position, live: Position | undefined, isReached = true): Position {
  const known: Pick<KnownTables, 'table' | 'beginning' | 'switched'> = {
    table: () => undefined,
    beginning: () => end(7),
    switched: Promise.resolve(),
  }
  const createReplay = createTableReplays({
    log: {
      position: log,
      read: () => Promise.reject(new Error('nothing is read')),
      reached: () => Promise.resolve(),
    },
    known,
    refresh: undefined,
    isReached: () => isReached,
    signal: new AbortController().signal,
  })
  return createReplay({ relid: '1', changesOf: async () => [], live: () => live, recheck: undefined }).start()
}

it('a subscriber has no position ahead of the changes that wait for policies, as after a change of the schema', () => {
  expect(startAt(end(9), within(5))).toEqual(within(5))
  expect(startAt(end(9), within(8))).toEqual(within(8))
})

it('a subscriber that has received everything has the position of the log, or the beginning of the history', () => {
  expect(startAt(end(9), end(9))).toEqual(end(9))
  expect(startAt(end(6), end(6))).toEqual(end(7)) // no batch from 7 on has events
  expect(startAt(end(6), end(6), false)).toEqual(end(6))
  expect(startAt(end(6), undefined)).toEqual(end(7))
})
