import type { ListenqlError } from '../lib/errors.js'
import type { Account } from '../lib/limits/account.js'
import type { LimitExceeded } from '../lib/limits/limit-exceeded.js'
import type { Outbound } from './outbound.js'
import type { Subscriber } from './subscriber.js'

/**
 * Work that is done once for all subscribers of a group is paid for by the first one. When its account is overdrawn it is expelled, and
 * the next one pays. So no subscription ends because another one with an equal request has spent too much elsewhere.
 * @param subscribers those of the group at the moment, in the order in which they joined
 */
export function sharedAccount(
  subscribers: () => ReadonlyMap<Subscriber, Outbound>,
  expel: (subscriber: Subscriber, outbound: Outbound, error: ListenqlError) => void,
): Account {
  return {
    refusal() {
      let last: LimitExceeded | undefined
      for (const [subscriber, outbound] of subscribers()) {
        const refusal = subscriber.account?.refusal()
        if (!refusal) return undefined
        expel(subscriber, outbound, refusal)
        last = refusal
      }
      return last
    },
    pay(steps) {
      const [first] = subscribers().keys()
      first?.account?.pay(steps)
    },
  }
}
