import { expect, it } from 'vitest'
import { ListenqlError } from '../../src/lib/errors.js'
import { LivePosition } from '../../src/log/live-position.js'
import { endOfBatch } from '../../src/log/position.js'

const at = (n: number) => endOfBatch({ n, token: n })

/** A live position, and the codes of the errors with which its histories have ended. */
function createTested() {
  const ends: string[] = []
  return { live: new LivePosition(({ code }) => ends.push(code)), ends }
}

it('the first position is that of `begin`, and ends no history', async () => {
  const { live, ends } = createTested()
  const started = live.started()
  expect([live.position, live.histories]).toEqual([undefined, 0])
  live.begin(at(3))
  expect([await started, live.position, live.histories, ends]).toEqual([at(3), at(3), 0, []])
  live.moveTo(at(4))
  expect([await live.started(), ends]).toEqual([at(4), []])
})

it('a log that becomes available after `started` has resolved begins with the end of a history, once', async () => {
  const { live, ends } = createTested()
  live.unavailable()
  live.unavailable()
  expect([await live.started(), ends]).toEqual([undefined, []])
  live.begin(at(3))
  expect([live.position, live.histories, ends]).toEqual([at(3), 1, ['CURSOR_EXPIRED']])
})

it('a log that is unavailable for a while, with a position, continues from there', () => {
  const { live, ends } = createTested()
  live.begin(at(3))
  live.unavailable()
  expect([live.position, live.histories, ends]).toEqual([at(3), 0, []])
})

it('the position is that of the next history when the listeners get the end of the last one', () => {
  const seen: unknown[] = []
  const live: LivePosition = new LivePosition(() => seen.push(live.position, live.histories))
  live.begin(at(9))
  live.endHistory(new ListenqlError('CURSOR_INVALID', 'restored'), at(2))
  expect(seen).toEqual([at(2), 1])
})
