import { comparePositions } from '../log/position.js'
import { Group } from './group.js'
import { joinGroup } from './membership.js'
import type {
  GroupOptions,
  SubscriberOptions,
  SubscriptionHandle,
  SubscriptionRequest,
} from './subscription.js'

/** Assigns subscriptions to groups: subscriptions with equal keys share one source and one rendering of each event. */
export interface Groups {
  /**
   * Joins the group of this request, or creates it. Resolves once no later event can be missed or, if the subscriber resumes, once
   * the first page after its position has been read. Rejects with the error of the source, with the signal's reason, or with
   * LimitExceeded if there is no memory for another group.
   */
  join<Event>(
    request: SubscriptionRequest<Event>,
    subscriber: SubscriberOptions,
    signal?: AbortSignal,
  ): Promise<SubscriptionHandle>
  /** The schema has changed: each group moves to it with its subscribers, or ends. Resolves once all groups have. */
  renew(): Promise<void>
  /** The number of groups, and of subscribers in them. */
  readonly size: { readonly groups: number; readonly subscribers: number }
}

export function createGroups(options: GroupOptions): Groups {
  const all = new Set<Group>()
  /** The groups that can be joined. */
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
    // The source may end while it opens, as when the right to it has just been lost. Then no other subscriber joins the group.
    if (group.isOver) return group
    all.add(group)
    byKey.set(request.key, group)
    return group
  }

  /** After a change of the schema or of rights, the group's request may equal that of another group: then they merge. */
  function rekey(group: Group, former: string): void {
    if (group.isOver || group.key === former) return
    if (byKey.get(former) === group) byKey.delete(former)
    const heir = byKey.get(group.key)
    if (!heir) byKey.set(group.key, group)
    else if (heir.isOpen && !isOlder(heir, group)) group.mergeInto(heir)
    else if (heir.isOpen) {
      byKey.set(group.key, group)
      heir.mergeInto(group)
    }
  }

  return {
    async join(request, subscriber, signal) {
      let current = request as SubscriptionRequest<unknown>
      // The schema may have changed since the request was made.
      for (let next = current.renew(); next; next = current.renew()) current = await next
      return joinGroup(byKey.get(current.key) ?? found(current), subscriber, signal)
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

/** Whether the newest state of a group is older than that of another one, whose subscribers must not get it. */
function isOlder({ newestState: one }: Group, { newestState: other }: Group): boolean {
  return one !== undefined && other !== undefined && comparePositions(one, other) < 0
}
