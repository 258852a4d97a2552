import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { LogEvent } from '../../src/log/log-event.js'
import type { Page } from '../../src/log/log-queries.js'
import type { Position } from '../../src/log/position.js'
import { type Checkpoint, pump } from '../../src/log/pump.js'

const at = (n: number): Position => ({ n, token: 1, ord: 0, statement: 0, id: 0 })
const eventAt = (n: number) => ({ kind: 't', topic: '1', position: at(n) }) as LogEvent

/**
 * Pages with the given numbers of events; a batch without events, which ends each page, takes a number as an
 * event does.
 */
function pagesOf(sizes: readonly number[]): Page[] {
  let n = 0
  return sizes.map((size, i) => ({
    events: Array.from({ length: size }, () => eventAt(++n)),
    position: at(++n),
    isLast: i % 2 > 0,
  }))
}

async function* from(pages: readonly Page[]): AsyncGenerator<Page> {
  yield* pages
}

/** What happens, in order, as words; the checkpoint and the flow resolve late if `isLate` is true. */
function createRecord(isLate: () => boolean) {
  const said: string[] = []
  const controller = new AbortController()
  const say = (word: string) => {
    said.push(word)
    if (!isLate()) return undefined
    return new Promise<void>(resolve => setImmediate(resolve)).then(() => void said.push(`${word}.`))
  }
  const checkpoint: Checkpoint = {
    beforePull: () => undefined,
    authorise: events => say(`authorise ${events.length}`),
    advanceTo: event => say(`advance ${event.position.n}`),
    caughtUp: isRead => say(`caught up ${isRead}`),
  }
  return {
    said,
    controller,
    run: (pages: readonly Page[], stopAt = Number.POSITIVE_INFINITY) =>
      pump({
        pages: from(pages),
        checkpoint,
        flow: {
          begin: () => void said.push('begin'),
          ready: () => say('ready'),
        },
        dispatch(event) {
          said.push(`dispatch ${event.position.n}`)
          if (event.position.n === stopAt) controller.abort()
        },
        moveTo: ({ n }) => void said.push(`move ${n}`),
        signal: controller.signal,
      }),
  }
}

const sizes = fc.array(fc.nat(4), { maxLength: 5 })
const lateness = fc.infiniteStream(fc.boolean())

it('the pump passes each event through the same steps in the order of the log, whatever the steps wait for', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, lateness, async (given, late) => {
      const pages = pagesOf(given)
      const { said, run } = createRecord(() => late.next().value)
      await run(pages)
      const expected = pages.flatMap(({ events, position, isLast }) => [
        ...(events.length > 0 ? [`authorise ${events.length}`] : []),
        'begin',
        ...events.flatMap(({ position: { n } }) => [`advance ${n}`, 'ready', `dispatch ${n}`, `move ${n}`]),
        `move ${position.n}`,
        ...(isLast ? ['caught up true'] : []),
      ])
      expect(said.filter(word => !word.endsWith('.'))).toEqual(expected)
      // Each step that resolves late has resolved before the next one begins.
      for (const [i, word] of said.entries())
        if (word.endsWith('.')) expect(said[i - 1]).toBe(word.slice(0, -1))
    }),
  )
})

it('the pump moves to an event in the step that dispatches it, and dispatches nothing after an abort', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, lateness, fc.nat(20), async (given, late, stopAt) => {
      const { said, run } = createRecord(() => late.next().value)
      await run(pagesOf(given), stopAt)
      for (const [i, word] of said.entries())
        if (word.startsWith('dispatch')) expect(said[i + 1]).toBe(word.replace('dispatch', 'move'))
      const last = said.indexOf(`dispatch ${stopAt}`)
      if (last >= 0)
        expect(said.slice(last + 2).filter(word => /dispatch|move|caught/.test(word))).toEqual([])
    }),
  )
})

it('the pump ends with the error of a checkpoint, and closes the pages with it', async () => {
  let isOver = false
  async function* pages(): AsyncGenerator<Page> {
    try {
      yield* pagesOf([1, 1])
    } finally {
      isOver = true
    }
  }
  const error = new Error('the catalogue cannot be read')
  const moved: number[] = []
  const pumped = pump({
    pages: pages(),
    checkpoint: {
      beforePull: () => undefined,
      advanceTo: event => (event.position.n > 1 ? Promise.reject(error) : undefined),
      caughtUp: () => undefined,
    },
    flow: { begin: () => undefined, ready: () => undefined },
    dispatch: () => undefined,
    moveTo: ({ n }) => void moved.push(n),
    signal: new AbortController().signal,
  })
  await expect(pumped).rejects.toBe(error)
  expect(moved).toEqual([1, 2])
  expect(isOver).toBe(true)
})
