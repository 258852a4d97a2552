import { comparePositions } from '../log/position.js'
import type { Topic } from '../sources/source.js'
import { Group } from './group.js'
import type { GroupOptions } from './group-options.js'
import { joinGroup } from './membership.js'
import type { SubscriberOptions, SubscriptionRequest } from './subscription.js'
import type { SubscriptionHandle } from './subscription-handle.js'

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
  /** The groups with the most subscribers, the first one with the most. @param most how many at most */
  largest(
    most: number,
  ): readonly { readonly topic: Topic; readonly isState: boolean; readonly size: number }[]
}

export function createGroups(options: GroupOptions): Groups {
  const all = new Set<Group>()
  /** The groups that can be joined, and the key of each: that of its request, except while it moves to another schema. */
  const byKey = new Map<string, Group>()
  const keys = new Map<Group, string>()

  function enter(key: string, group: Group): void {
    byKey.set(key, group)
    keys.set(group, key)
  }

  function remove(group: Group): void {
    const key = keys.get(group)
    keys.delete(group)
    if (key !== undefined && byKey.get(key) === group) byKey.delete(key)
  }

  function found(request: SubscriptionRequest<unknown>): Group {
    const held = options.memory.hold(request.bytes)
    let isFounded = false
    const group: Group = new Group(request, options, () => {
      held.release()
      if (!isFounded) return
      all.delete(group)
      remove(group)
    })
    isFounded = true
    // The source may end while it opens, as when the right to it has just been lost. Then no other subscriber joins the group.
    if (group.isOver) return group
    all.add(group)
    enter(request.key, group)
    return group
  }

  /**
   * After a change of the schema or of rights, the group's request may equal that of another group: then they merge.
   * @param former groups that have not moved yet: the key of one may be another soon
   */
  function rekey(group: Group, former: ReadonlySet<Group>): void {
    if (group.isOver || byKey.get(group.key) === group) return
    remove(group)
    const heir = byKey.get(group.key)
    if (!heir || former.has(heir)) enter(group.key, group)
    else if (heir.isOpen && !isOlder(heir, group)) group.mergeInto(heir)
    else if (heir.isOpen) {
      enter(group.key, group)
      heir.mergeInto(group)
    }
  }

  return {
    async join(request, subscriber, signal) {
      let current = request as SubscriptionRequest<unknown>
      // The schema may have changed since the request was made.
      for (let next = current.renew(); next; next = current.renew()) current = await next
      const known = byKey.get(current.key)
      // A group that is moving to another schema may have another key already.
      return joinGroup(known?.key === current.key ? known : found(current), subscriber, signal)
    },
    async renew() {
      const former = new Set(all)
      for (const group of former) {
        await group.renew()
        former.delete(group)
        rekey(group, former)
      }
    },
    get size() {
      let subscribers = 0
      for (const group of all) subscribers += group.size
      return { groups: all.size, subscribers }
    },
    largest: most =>
      [...all]
        .sort((a, b) => b.size - a.size)
        .slice(0, most)
        .map(({ source: { topic, isState }, size }) => ({ topic, isState, size })),
  }
}

/** Whether the newest state of a group is older than that of another one, whose subscribers must not get it. */
function isOlder({ newestState: one }: Group, { newestState: other }: Group): boolean {
  return one !== undefined && other !== undefined && comparePositions(one, other) < 0
}
