import { expect, it } from 'vitest'
import { type ChangeListener, createFollowedTables } from '../../src/live/followed-tables.js'

it('follows a table once for all its queries, and again in the next history after the end of one', () => {
  const listeners: ChangeListener[] = []
  const stopped: number[] = []
  const lost: string[] = []
  const { retain, release } = createFollowedTables(
    (_relid, listener) => {
      const number = listeners.push(listener)
      return () => stopped.push(number)
    },
    { change: () => undefined, lost: relid => lost.push(relid) },
  )
  retain('7')
  retain('7')
  expect(listeners.length).toBe(1)
  listeners[0]?.lost()
  expect([lost, listeners.length]).toEqual([['7'], 2])
  release('7')
  expect(stopped).toEqual([])
  release('7')
  expect(stopped).toEqual([2])
  listeners[1]?.lost() // no query needs the table any more
  expect([lost, listeners.length]).toEqual([['7'], 2])
})
