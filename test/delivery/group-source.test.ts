import { expect, it } from 'vitest'
import { GroupSource } from '../../src/delivery/group-source.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { EventSource, type Follower } from '../../src/sources/source.js'
import { at } from '../support/group.js'

/** A source that opens when `opened` resolves, and counts how often it is stopped. */
function createSource(opened: Promise<void> = Promise.resolve()) {
  const followers: Follower<number>[] = []
  let stops = 0
  const source = new EventSource<number>(
    { kind: 'table', name: 'people' },
    {
      async open(follower) {
        followers.push(follower)
        await opened
        return () => stops++
      },
      live: () => Promise.resolve(),
    },
  )
  return { source: source as EventSource<unknown>, followers, stops: () => stops }
}

function createTested() {
  const got: unknown[] = []
  const closing = new AbortController()
  const follower = {
    event: (event: unknown) => got.push(event),
    end: ({ code }: ListenqlError) => got.push(code),
  }
  return { group: new GroupSource(follower as Follower<unknown>, closing.signal), got, closing }
}

it('delivers from the source that was opened last, and stops the former one once that is open', async () => {
  const { group, got } = createTested()
  const slow = createDeferred()
  const former = createSource(slow.promise)
  const next = createSource()
  group.open(former.source)
  expect(group.isOpen).toBe(false)
  group.open(next.source, at(3))
  await group.opened
  expect(next.followers[0]?.continuesAfter).toEqual(at(3))
  for (const { followers } of [former, next]) followers[0]?.event(1)
  former.followers[0]?.end(new ListenqlError('FORBIDDEN', 'no'))
  expect([got, former.stops(), group.isOpen]).toEqual([[1], 0, true])
  slow.resolve()
  await expect.poll(former.stops).toBe(1)
  group.stop()
  await expect.poll(next.stops).toBe(1)
})

it('opens a source again while errors pass by themselves, and reports any other', async () => {
  const { group, got } = createTested()
  const { source, followers } = createSource()
  const errors = (['DATABASE_FAILED', 'SCHEMA_CHANGED'] as const).map(code => new ListenqlError(code, 'no'))
  const failures: unknown[] = []
  const open = source.open.bind(source)
  source.open = async (...args) => {
    const error = errors.shift()
    if (error) throw error
    return open(...args)
  }
  group.reopen(source, error => failures.push(error))
  await group.opened
  followers[0]?.event(1)
  expect([got, failures]).toEqual([[1], []])
  const expired = new ListenqlError('CURSOR_EXPIRED', 'no')
  errors.push(expired)
  group.reopen(source, error => failures.push(error))
  await expect(group.opened).rejects.toBe(expired)
  expect(failures).toEqual([expired])
})

it('does not open a source again after another one has been opened', async () => {
  const { group } = createTested()
  const { source } = createSource()
  const failures: unknown[] = []
  let opens = 0
  source.open = async () => {
    opens++
    throw new ListenqlError('DATABASE_FAILED', 'no')
  }
  group.reopen(source, error => failures.push(error))
  const reopened = group.opened
  group.open(createSource().source)
  await expect(reopened).rejects.toThrow('another source')
  await group.opened
  expect([opens, failures]).toEqual([1, []])
})
