import type { SubscribePayload } from 'graphql-ws/client'
import { expect, it, vi } from 'vitest'
import { createFollowers } from '../../src/client/followers.js'

const SINK = { next: () => {}, error: () => {}, complete: () => {} }

function create() {
  const resumed = vi.fn()
  const followers = createFollowers(resumed)
  /** @returns the id, and what leaves */
  const follow = (query = 'subscription { numbers }') => {
    let id = ''
    const client = {
      subscribe(payload: SubscribePayload) {
        id = followers.idOf(payload)
        return () => {}
      },
    }
    const leave = followers.follow(client, { query }, SINK)
    return { id, leave }
  }
  const accept = (...ids: string[]) =>
    followers.moved({ cursors: Object.fromEntries(ids.map(id => [id, null])) })
  return { followers, resumed, follow, accept }
}

it('subscriptions are resuming from a lost connection until each is accepted again or has ended', () => {
  const { followers, resumed, follow, accept } = create()
  const [one, two, three] = [follow(), follow(), follow()] as const
  accept(one.id, two.id)
  expect(followers.areResuming).toBe(false)
  followers.interrupted()
  followers.interrupted()
  expect(followers.areResuming).toBe(true) // and the third had not been accepted before
  accept(one.id)
  expect(resumed).not.toHaveBeenCalled()
  two.leave()
  expect(resumed).toHaveBeenCalledOnce()
  expect(followers.areResuming).toBe(false)
  accept(three.id)
  three.leave()
  expect(resumed).toHaveBeenCalledOnce()
  expect(followers.size).toBe(1)
})

it('knows whether a mutation waits for its result', () => {
  const { followers, follow } = create()
  follow()
  follow('query { mutations }')
  expect(followers.areMutating).toBe(false)
  const { leave } = follow('mutation M { notify(channel: "a", payload: "") }')
  expect(followers.areMutating).toBe(true)
  leave()
  expect(followers.areMutating).toBe(false)
})
