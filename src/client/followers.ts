import type { Client, FormattedExecutionResult, ID, SubscribePayload } from 'graphql-ws/client'
import { isObject } from './is-object.js'
import type { ResumingSink } from './subscription/resuming-sink.js'

/** All operations in progress, with the position of each subscription. */
export interface Followers {
  /** Subscribes with a payload that contains the present position each time that graphql-ws sends it. */
  follow<Data, Extensions>(
    client: Pick<Client, 'subscribe'>,
    payload: SubscribePayload,
    sink: ResumingSink<FormattedExecutionResult<Data, Extensions>>,
  ): () => void
  /** The id for graphql-ws when it subscribes. */
  readonly idOf: (payload: SubscribePayload) => ID
  /** Reads the payload of a ping: `{cursors: {<id>: <position>}}`. */
  moved(payload: unknown): void
  /** The connection is lost, or could not be made. */
  interrupted(): void
  readonly size: number
  /** Whether there are subscriptions that the server had accepted on an earlier connection and not yet on the present one. */
  readonly areResuming: boolean
  /** Whether a mutation waits for its result: a reconnection would send it again. */
  readonly areMutating: boolean
  /** Completes all of them. */
  leave(): void
}

/** One operation. */
interface Follower {
  /** The position to resume after; all earlier events were passed to the sink, or were not for it. */
  after: string | undefined
  id: ID | undefined
  /** Whether the server has accepted it on the present connection. */
  isAccepted: boolean
  /** Whether the server had accepted it on an earlier connection, and not yet on the present one. */
  isResuming: boolean
  readonly isMutation: boolean
  readonly sink: Pick<ResumingSink<unknown>, 'accepted' | 'interrupted'>
  leave(): void
}

/**
 * @param resumed called when the last of the subscriptions that were resuming is accepted, or has ended
 * @param generateID the application's own, if it has one; else ids are numbers, unique within the client
 */
export function createFollowers(
  resumed: () => void,
  generateID?: (payload: SubscribePayload) => ID,
): Followers {
  const byPayload = new WeakMap<SubscribePayload, Follower>()
  const byId = new Map<ID, Follower>()
  const all = new Set<Follower>()
  let ids = 0

  const areResuming = () => [...all].some(({ isResuming }) => isResuming)
  function settled(follower: Follower): void {
    if (!follower.isResuming) return
    follower.isResuming = false
    if (!areResuming()) resumed()
  }
  return {
    get size() {
      return all.size
    },
    get areResuming() {
      return areResuming()
    },
    get areMutating() {
      return [...all].some(({ isMutation }) => isMutation)
    },
    follow(client, payload, sink) {
      const follower: Follower = {
        after: undefined,
        id: undefined,
        isAccepted: false,
        isResuming: false,
        isMutation: /\bmutation\b/.test(payload.query),
        sink,
        leave,
      }
      const resuming: SubscribePayload = {
        ...payload,
        get extensions() {
          return follower.after === undefined
            ? payload.extensions
            : { ...payload.extensions, after: follower.after }
        },
      }
      byPayload.set(resuming, follower)
      all.add(follower)
      /** False if it had ended before. */
      const end = () => {
        if (follower.id !== undefined) byId.delete(follower.id)
        settled(follower)
        return all.delete(follower)
      }
      function leave(): void {
        if (!end()) return
        // Not within `next`: if several messages arrive at once (`ws`), the server's `complete` may follow directly, and graphql-ws
        // would count this operation down twice, consider the socket unused, and close it although others use it.
        queueMicrotask(() => {
          unsubscribe()
          sink.complete()
        })
      }
      const unsubscribe = client.subscribe<unknown, unknown>(resuming, {
        next(result) {
          if (!all.has(follower)) return
          sink.next(result as Parameters<typeof sink.next>[0])
          follower.after = cursorOf(result.extensions) ?? follower.after
        },
        error(error) {
          if (end()) sink.error(error)
        },
        complete() {
          if (end()) sink.complete()
        },
      })
      return leave
    },
    idOf(payload) {
      const id = generateID ? generateID(payload) : String(++ids)
      const follower = byPayload.get(payload)
      if (follower) {
        follower.id = id
        byId.set(id, follower)
      }
      return id
    },
    moved(payload) {
      if (!isObject(payload) || !isObject(payload.cursors)) return
      for (const [id, cursor] of Object.entries(payload.cursors)) {
        const follower = byId.get(id)
        if (!follower) continue
        if (typeof cursor === 'string') follower.after = cursor
        if (follower.isAccepted) continue
        follower.isAccepted = true
        settled(follower)
        follower.sink.accepted?.()
      }
    },
    interrupted() {
      for (const follower of [...all]) {
        follower.isResuming ||= follower.isAccepted
        follower.isAccepted = false
        follower.sink.interrupted?.()
      }
    },
    leave() {
      for (const follower of [...all]) follower.leave()
    },
  }
}

function cursorOf(extensions: unknown): string | undefined {
  return isObject(extensions) && typeof extensions.cursor === 'string' ? extensions.cursor : undefined
}
