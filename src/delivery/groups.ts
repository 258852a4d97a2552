import { Group } from './group.js'
import type { GroupOptions, Member, Membership, Request } from './request.js'

/** Subscriptions that ask the same share one source, one execution and one text for each event. */
export interface Groups {
  /**
   * Joins the group of this request, or founds it. Resolves once no later event can be missed, or, with a position to start
   * after, once the log has been read from there. Rejects with what the source rejects with, or with the signal's reason.
   */
  join<Event>(request: Request<Event>, member: Member, signal?: AbortSignal): Promise<Membership>
  /** The schema was built again: each group moves to it with its subscribers, or ends. Resolves once all have. */
  renew(): Promise<void>
  /** Number of groups, and of subscribers in them. */
  readonly size: { readonly groups: number; readonly subscribers: number }
}

export function createGroups(options: GroupOptions): Groups {
  const groups = new Map<string, Group>()

  function provide(request: Request<unknown>): Group {
    let group = groups.get(request.key)
    if (!group) {
      const founded = new Group(request, options, () => {
        if (groups.get(request.key) === founded) groups.delete(request.key)
      })
      groups.set(request.key, founded)
      group = founded
    }
    return group
  }

  return {
    async join(request, member, signal) {
      let current = request as Request<unknown>
      // It may have been made for a schema that was current when it came, and is not any more.
      for (let next = current.renew(); next; next = current.renew()) current = await next
      return provide(current).join(member, signal)
    },
    async renew() {
      for (const group of [...groups.values()]) await group.renew()
    },
    get size() {
      let subscribers = 0
      for (const group of groups.values()) subscribers += group.size
      return { groups: groups.size, subscribers }
    },
  }
}

export type { Member, Membership, Request } from './request.js'
