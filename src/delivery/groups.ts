import { Group } from './group.js'
import type {
  GroupOptions,
  SubscriberOptions,
  SubscriptionHandle,
  SubscriptionRequest,
} from './subscription.js'

/** Subscriptions that ask the same share one source, one execution and one text for each event. */
export interface Groups {
  /**
   * Joins the group of this request, or founds it. Resolves once no later event can be missed, or, with a position to start
   * after, once the log has been read from there. Rejects with what the source rejects with, with the signal's reason, or
   * with LimitExceeded if there is no memory for another group.
   */
  join<Event>(
    request: SubscriptionRequest<Event>,
    subscriber: SubscriberOptions,
    signal?: AbortSignal,
  ): Promise<SubscriptionHandle>
  /** The schema was built again: each group moves to it with its subscribers, or ends. Resolves once all have. */
  renew(): Promise<void>
  /** Number of groups, and of subscribers in them. */
  readonly size: { readonly groups: number; readonly subscribers: number }
}

export function createGroups(options: GroupOptions): Groups {
  const all = new Set<Group>()
  /** Those that may be joined. */
  const byKey = new Map<string, Group>()

  function found(request: SubscriptionRequest<unknown>): Group {
    const held = options.memory.hold(request.bytes)
    let isFounded = false
    const group: Group = new Group(request, options, () => {
      held.release()
      if (!isFounded) return
      all.delete(group)
      if (byKey.get(group.key) === group) byKey.delete(group.key)
    })
    isFounded = true
    // A source may end while it is opened, as when the right to it has just been lost: then nobody else joins.
    if (group.isOver) return group
    all.add(group)
    byKey.set(request.key, group)
    return group
  }

  /** Under another schema, or with other rights, it may ask the same as another group. */
  function rekey(group: Group, former: string): void {
    if (group.isOver || group.key === former) return
    if (byKey.get(former) === group) byKey.delete(former)
    const heir = byKey.get(group.key)
    if (!heir) byKey.set(group.key, group)
    else if (heir.isOpen) group.mergeInto(heir)
  }

  return {
    async join(request, subscriber, signal) {
      let current = request as SubscriptionRequest<unknown>
      // It may have been made for a schema that was current when it came, and is not any more.
      for (let next = current.renew(); next; next = current.renew()) current = await next
      return (byKey.get(current.key) ?? found(current)).join(subscriber, signal)
    },
    async renew() {
      for (const group of [...all]) {
        const { key } = group
        await group.renew()
        rekey(group, key)
      }
    },
    get size() {
      let subscribers = 0
      for (const group of all) subscribers += group.size
      return { groups: all.size, subscribers }
    },
  }
}
