import { expect, it } from 'vitest'
import { ListenqlError } from '../../src/lib/errors.js'
import { createPollDoorbell } from '../../src/log/doorbell.js'
import { LogFollower } from '../../src/log/log-follower.js'

const createLog = () =>
  new LogFollower({
    config: {},
    doorbell: createPollDoorbell({ poll: 5 }),
    connectTimeout: 1000,
    reconnectMax: 100,
    observe: () => undefined,
  })

it('who leaves a topic whose history has ended takes nobody with him who follows the next one', async () => {
  const log = createLog()
  const told: string[] = []
  const listener = (name: string) => ({ event: () => undefined, lost: () => void told.push(name) })
  const leave = log.follow('t', '1', listener('first'))
  log.end('t', '1', new ListenqlError('CURSOR_EXPIRED', 'the history ends'))
  log.follow('t', '1', listener('second'))
  leave() // as a slow reader of the first does, after a while
  log.end('t', '1', new ListenqlError('CURSOR_EXPIRED', 'this one ends, too'))
  expect(told).toEqual(['first', 'second'])
  await log.close()
})
