import { describe, expect, it } from 'vitest'
import type { Position } from '../../src/log/position.js'
import {
  type JoinedReader,
  joinIfLevel,
  livePositionIn,
  pagesAfter,
  wasReplayed,
} from '../../src/sources/resume.js'

// test/property/once.test.ts tests these steps together, as a reader's way from the past to the present.

const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })

describe('pagesAfter', () => {
  async function positionsAsked(first: boolean) {
    const asked: Position[] = []
    const read = async (after: Position) => {
      asked.push(after)
      return { events: [after.id], position: at(after.id + 10) }
    }
    const events: number[] = []
    for await (const page of pagesAfter(at(0), read, first ? await read(at(0)) : undefined)) {
      events.push(...page.events)
      if (events.length === 3) break
    }
    return { events, asked: asked.map(({ id }) => id) }
  }

  it('starts each page where the previous one ended, and reads only the pages that the reader requests', async () => {
    expect(await positionsAsked(false)).toEqual({ events: [0, 10, 20], asked: [0, 10, 20] })
  })

  it('does not read the first page again', async () => {
    expect(await positionsAsked(true)).toEqual({ events: [0, 10, 20], asked: [0, 10, 20] })
  })
})

describe('joinIfLevel', () => {
  /** Returns whether a reader that has read up to `read` joins a stream that has delivered up to `live`. */
  function joins(read: number, live: number | undefined): boolean {
    let hasJoined = false
    const answer = joinIfLevel(
      at(read),
      () => (live === undefined ? undefined : at(live)),
      () => {
        hasJoined = true
      },
    )
    expect(answer).toBe(hasJoined)
    return hasJoined
  }

  it('joins if the live events do not extend past what was read from the log', () => {
    expect([joins(2, 1), joins(2, 2), joins(2, 3)]).toEqual([true, true, false])
  })

  it('does not join a stream whose position is unknown', () => {
    expect(joins(2, undefined)).toBe(false)
  })
})

describe('livePositionIn', () => {
  it('returns no position for a page of a history that has ended', () => {
    const replay = { position: () => at(7), history: 2 }
    expect(livePositionIn(replay, { history: 2 })).toEqual(at(7))
    expect(livePositionIn(replay, { history: 1 })).toBe(undefined)
    expect(livePositionIn({ position: () => at(7) }, {})).toEqual(at(7))
  })
})

describe('wasReplayed', () => {
  it('is true for events up to the last replayed position, and false from the first later event on', () => {
    const reader: JoinedReader = { seen: at(3) }
    expect([2, 3, 4, 3].map(id => wasReplayed(reader, at(id), false))).toEqual([true, true, false, false])
  })

  it('is false for events that are not in the log', () => {
    const reader: JoinedReader = { seen: at(3) }
    expect(wasReplayed(reader, undefined, false)).toBe(false)
    expect(wasReplayed(reader, at(3), false)).toBe(true)
  })

  it('is false for every event of the next history', () => {
    const reader: JoinedReader = { seen: at(3) }
    expect(wasReplayed(reader, undefined, true)).toBe(false)
    expect(wasReplayed(reader, at(1), false)).toBe(false)
  })
})
