import type {
  ListenqlClient,
  ResumingSink,
  SubscribingClient,
  SubscriptionPayload,
  SubscriptionResult,
} from '../../../src/client/index.js'
import type { Kit } from './helper.js'
import { createWitness, type Witness } from './witness.js'

/** A time in which a renamed column may have got its name back, in ms. */
const AGAIN = 200

/** The errors after which an operation that selects the renamed column cannot begin anew by itself. */
const RENAMED = 'GRAPHQL_VALIDATION_FAILED'

export interface KitTally {
  readonly states: number
  readonly readsAgain: number
  readonly truncates: number
  readonly errors: Readonly<Record<string, number>>
}

/** What helpers are made with, and what they have reported so far. */
export function createKit(options: {
  readonly client: ListenqlClient
  readonly complain: (text: string) => void
}): { readonly kit: Kit; tally(): KitTally } {
  const { client, complain } = options
  const witnesses: Witness[] = []
  const counters: ReturnType<Kit['countingReads']>[] = []
  const errors: Record<string, number> = {}
  let truncates = 0
  const known = new WeakSet<Error>()
  const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0)
  return {
    kit: {
      client,
      complain,
      countingReads() {
        const counter = countReads(client, () => truncates++)
        counters.push(counter)
        return counter
      },
      witness(name, branches) {
        const witness = createWitness({ name, branches, complain })
        witnesses.push(witness)
        return witness
      },
      heard(name, status, refetch) {
        const { state, error } = status ?? {}
        if (!error || known.has(error)) return
        known.add(error)
        const code = error.code ?? error.message
        errors[code] = (errors[code] ?? 0) + 1
        if (state !== 'failed') return
        if (code === RENAMED && name.includes('renamed')) setTimeout(refetch, AGAIN)
        else complain(`${name} failed: ${error.message}`)
      },
    },
    tally: () => ({
      states: sum(witnesses.map(({ states }) => states)),
      readsAgain: sum(counters.map(({ reads }) => Math.max(0, reads() - 1))),
      truncates,
      errors,
    }),
  }
}

/** Counts how often the subscriptions through a client have read all rows. @param truncated called for each TRUNCATE */
function countReads(client: SubscribingClient, truncated: () => void): ReturnType<Kit['countingReads']> {
  let reads = 0
  return {
    reads: () => reads,
    client: {
      subscribe<Data, Extensions>(
        payload: SubscriptionPayload,
        sink: ResumingSink<SubscriptionResult<Data, Extensions>>,
      ) {
        return client.subscribe<Data, Extensions>(payload, {
          ...sink,
          next(result) {
            const [change] = Object.values(result.data ?? {}) as { readonly operation?: string }[]
            if (change?.operation === 'READY') reads++
            if (change?.operation === 'TRUNCATE') truncated()
            sink.next(result)
          },
        })
      },
    },
  }
}
