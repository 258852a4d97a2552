import { expect, it } from 'vitest'
import { ListenqlError } from '../../src/lib/errors.js'
import type { LogEvent } from '../../src/log/log-event.js'
import { createLogTopics, type LogListener } from '../../src/log/log-topics.js'

const ENDED = new ListenqlError('CURSOR_EXPIRED', 'the history ends')
const event = (topic: string, more: Partial<LogEvent> = {}) => ({ kind: 't', topic, ...more }) as LogEvent

/** Topics, and listeners that record what they receive under a name. */
function createTested() {
  const calls: string[] = []
  const faults: unknown[] = []
  const topics = createLogTopics(error => faults.push(error))
  const listener = (name: string, more: Partial<LogListener> = {}): LogListener => ({
    event: ({ topic }) => void calls.push(`${name}: event of ${topic}`),
    lost: error => void calls.push(`${name}: ${error.code}`),
    ...more,
  })
  return { topics, calls, faults, listener }
}

it('an event is delivered to the listeners of its topic: a table and a channel may have the same name', () => {
  const { topics, calls, listener } = createTested()
  topics.follow('t', '1', listener('one'))
  topics.follow('t', '1', listener('two'))
  topics.follow('t', '2', listener('another table'))
  topics.follow('c', '1', listener('a channel'))
  topics.dispatch(event('1'))
  topics.dispatch(event('3'))
  expect(calls).toEqual(['one: event of 1', 'two: event of 1'])
})

it('a listener that unsubscribes after its history has ended does not affect the listeners of the next history', () => {
  const { topics, calls, listener } = createTested()
  const leave = topics.follow('t', '1', listener('first'))
  topics.end('t', '1', ENDED)
  topics.follow('t', '1', listener('second'))
  leave() // as a slow reader of the first history does, after a while
  topics.end('t', '1', ENDED)
  expect(calls).toEqual(['first: CURSOR_EXPIRED', 'second: CURSOR_EXPIRED'])
})

it('a listener that is added while a history ends is not notified of that end, only of later events', () => {
  const { topics, calls, listener } = createTested()
  topics.follow(
    'c',
    'news',
    listener('first', { lost: () => void topics.follow('c', 'news', listener('second')) }),
  )
  topics.endAll(ENDED)
  topics.dispatch(event('news', { kind: 'c' }))
  expect(calls).toEqual(['second: event of news'])
})

it('a listener that throws is notified of a missing event, and the other listeners continue', () => {
  const { topics, calls, faults, listener } = createTested()
  const fault = new Error('a fault')
  const faulty = () => {
    throw fault
  }
  topics.follow('t', '1', listener('faulty', { event: faulty }))
  topics.follow('t', '1', listener('sound'))
  topics.dispatch(event('1'))
  topics.dispatch(event('1'))
  expect(faults).toEqual([fault])
  expect(calls).toEqual(['sound: event of 1', 'faulty: DATABASE_FAILED', 'sound: event of 1'])
})

it('a listener that throws and follows again at once gets the next event, not the same one', () => {
  const { topics, calls, faults, listener } = createTested()
  const follow = () =>
    topics.follow(
      't',
      '1',
      listener('faulty', { event: fail, lost: () => void calls.push('again', String(follow())) }),
    )
  const fail = () => {
    throw new Error('a fault')
  }
  follow()
  topics.dispatch(event('1'))
  expect(faults).toHaveLength(1)
  topics.dispatch(event('1'))
  expect(faults).toHaveLength(2)
  expect(calls.filter(word => word === 'again')).toHaveLength(2)
})

it('an unreadable event ends the history of its table, or is delivered by its channel', () => {
  const { topics, calls, listener } = createTested()
  topics.follow('t', '1', listener('table'))
  topics.follow('c', '1', listener('channel'))
  topics.dispatch(event('1', { unreadable: 'encoding' }))
  topics.dispatch(event('1'))
  topics.dispatch(event('1', { kind: 'c', unreadable: 'encoding' }))
  expect(calls).toEqual(['table: CURSOR_EXPIRED', 'channel: event of 1'])
})
