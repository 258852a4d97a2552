import fc from 'fast-check'
import { expect, it } from 'vitest'
import { comparePositions, type Position } from '../../src/log/position.js'
import type { FakedLog } from '../support/faked-log.js'
import type { Reader } from './readers.js'
import { createWorld, isSeen, SUBJECTS, type Subject, TOPICS, type Topic } from './world.js'

type Step =
  /** Writes a batch. */
  | { readonly do: 'commit'; readonly topics: readonly Topic[] }
  /** A new reader from a position of the log; undefined: live only. */
  | {
      readonly do: 'read'
      readonly subject: Subject
      readonly isGrouped: boolean
      readonly from: number | undefined
    }
  | { readonly do: 'take'; readonly reader: number }
  /** The live follower delivers its next event, or all of them. */
  | { readonly do: 'dispatch' | 'dispatch all' }
  /** The oldest read of the log or query of the policies is answered; with `overtakenBy`, all of them are. */
  | { readonly do: 'answer read' | 'answer policy'; readonly overtakenBy: Overtaking | undefined }
  | { readonly do: 'turn' | 'notify' | 'lose connection' | 'recover' | 'end history' }

/** After so many microtasks an event is written, and all events are delivered. */
interface Overtaking {
  readonly microtasks: number
  readonly topic: Topic
}

const just = <const Do extends string>(name: Do, weight: number) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(name) }),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('commit'),
      topics: fc.array(fc.constantFrom(...TOPICS, 'table'), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('read'),
      subject: fc.constantFrom(...SUBJECTS, 'ann'),
      isGrouped: fc.boolean(),
      from: fc.option(fc.nat(20), { nil: undefined, freq: 3 }),
    }),
  },
  {
    weight: 40,
    arbitrary: fc.record({
      do: fc.constantFrom('answer read', 'answer policy'),
      overtakenBy: fc.option(
        fc.record({ microtasks: fc.nat(16), topic: fc.constantFrom('channel', 'table', 'table') }),
        { nil: undefined, freq: 2 },
      ),
    }),
  },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('take'), reader: fc.nat(9) }) },
  just('dispatch', 4),
  just('dispatch all', 2),
  just('turn', 6),
  just('notify', 2),
  just('lose connection', 1),
  just('recover', 2),
  just('end history', 1),
)

/** What a reader must receive. */
interface Expectation {
  readonly reader: Reader
  readonly subject: Subject
  readonly after: Position | undefined
  /**
   * The history that it reads; without a position, also the first event and the first notification that it
   * must not miss.
   */
  start: { readonly history: number; readonly event: number; readonly notification: number }
  isOpen: boolean
}

it('every reader receives each event once and in order, whatever overtakes what', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(1, 1, 2, 100),
      fc.array(step, { minLength: 50, maxLength: 200 }),
      run,
    ),
    { numRuns: 500 }, // a run of the suite draws other worlds than the one before it
  )
}, 60_000)

const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

async function run(pageSizes: readonly number[], maxWaiting: number, steps: readonly Step[]): Promise<void> {
  const { log, listener, policies, faults, read, close } = createWorld({ pageSizes, maxWaiting })
  const expectations: Expectation[] = []
  let written = 0
  let notified = 0

  const commit = (topics: readonly Topic[]) =>
    log.commit(topics.map(topic => ({ kind: topic === 'table' ? 't' : 'c', topic, number: ++written })))
  const dispatchAll = () => {
    while (log.dispatchNext());
  }
  const now = () => ({
    history: log.histories.length - 1,
    event: (log.dispatched.at(-1) as number) + 1,
    notification: notified + 1,
  })

  async function take(step: Step): Promise<unknown> {
    switch (step.do) {
      case 'commit':
        return commit(step.topics)
      case 'read': {
        const positions = log.positions()
        const after = step.from === undefined ? undefined : positions[step.from % positions.length]
        const reader = read(step.subject, step.isGrouped, after)
        const start = after ? now() : { ...now(), event: Infinity, notification: Infinity }
        return expectations.push({ reader, subject: step.subject, after, start, isOpen: false })
      }
      case 'take':
        return expectations[step.reader % expectations.length]?.reader.take()
      case 'dispatch':
        return !listener.isAway && log.dispatchNext()
      case 'dispatch all':
        return !listener.isAway && dispatchAll()
      case 'answer read':
      case 'answer policy':
        if (listener.isAway) return
        while ((step.do === 'answer policy' ? policies.open() : log.answer()) && step.overtakenBy);
        if (!step.overtakenBy) return
        for (let i = 0; i < step.overtakenBy.microtasks; i++) await null
        commit([step.overtakenBy.topic])
        return dispatchAll()
      case 'turn':
        return turn()
      case 'notify':
        return !listener.isAway && listener.notify('channel', `n${++notified}`)
      case 'lose connection':
        return listener.lose()
      case 'recover':
        return listener.recover()
      case 'end history':
        return log.endHistory()
    }
  }

  /** Events that were delivered before a reader opened are optional. */
  function noteOpen(): void {
    for (const expectation of expectations) {
      if (expectation.isOpen || !expectation.reader.isOpen) continue
      expectation.isOpen = true
      if (!expectation.after) expectation.start = now()
    }
  }

  /** Runs until all readers have received everything and no read is under way. */
  async function settle(): Promise<void> {
    let before = -1
    for (let quiet = 0, round = 0; quiet < 10; round++) {
      if (round === 2000) throw new Error('a reader does not join the live stream')
      const isBusy = [log.dispatchNext(), log.answer(), policies.open()].includes(true)
      for (const { reader } of expectations) reader.take()
      await turn()
      noteOpen()
      const count = expectations.reduce((sum, { reader }) => sum + reader.got.length, 0)
      quiet = isBusy || count > before ? 0 : quiet + 1
      before = count
    }
  }

  for (const step of steps) {
    await take(step)
    noteOpen()
  }
  listener.recover()
  await settle()
  const { reads } = log
  for (const topic of ['channel', 'table'] as const) {
    commit([topic])
    await settle()
  }
  await take({ do: 'notify' })
  await settle()
  expect(log.reads, 'reads of the log after all have joined').toBe(reads)
  for (const expectation of expectations) {
    assertEvents(expectation, log)
    assertNotifications(expectation, notified)
  }
  expect(faults).toEqual([])

  for (const { reader } of expectations) reader.stop()
  const closed = close()
  while (policies.open() || log.answer()) await turn()
  await closed
}

function assertEvents({ reader, subject, after, start, isOpen }: Expectation, log: FakedLog): void {
  const got = reader.got.filter(each => typeof each === 'number')
  expect(got, 'once and in order').toEqual([...new Set(got)].toSorted((a, b) => a - b))
  for (const [history, events] of log.histories.entries()) {
    if (after && history < start.history) continue
    const mine = got.filter(number => events.some(({ position }) => position.id === number))
    const first = after ? 0 : Math.min(mine[0] ?? start.event, start.event)
    const due = events
      .filter(event => isSeen(subject, event) && event.position.id >= first)
      .filter(({ position }) => !after || history > start.history || comparePositions(position, after) > 0)
      .map(({ position }) => position.id)
    expect(mine, 'without a hole').toEqual(due.slice(0, mine.length))
    if (reader.hasEnded || !(isOpen || after)) continue
    const isPresent = history === log.histories.length - 1
    const least = isPresent ? due : due.filter(number => number <= (log.dispatched[history] as number))
    expect(mine.length, 'up to the end').toBeGreaterThanOrEqual(least.length)
  }
}

/**
 * Plain notifications start at the seam, before which some may have been missed, and are complete after it.
 */
function assertNotifications({ reader, after, start, subject }: Expectation, notified: number): void {
  if (subject !== 'channel' || reader.hasEnded) return
  const got = reader.got.filter(each => String(each).startsWith('n')).map(String)
  if (after) expect(reader.got.indexOf('gap')).toBeGreaterThanOrEqual(0)
  if (after && got[0]) expect(reader.got.indexOf('gap')).toBeLessThan(reader.got.indexOf(got[0]))
  const first = Math.min(
    Number(got[0]?.slice(1) ?? start.notification),
    after ? notified : start.notification,
  )
  expect(got).toEqual(Array.from({ length: notified + 1 - first }, (_, i) => `n${first + i}`))
}
