import { expect } from 'vitest'
import { viewerKey } from '../../src/auth/viewer.js'
import type { TableColumn } from '../../src/catalog/watched-table.js'
import { createBackpressure } from '../../src/delivery/backpressure.js'
import { createGroups } from '../../src/delivery/groups.js'
import { createScheduler } from '../../src/delivery/scheduler.js'
import { EVERYTHING } from '../../src/filters/index.js'
import { createClientMemory } from '../../src/lib/limits/client-memory.js'
import type { Observe } from '../../src/lib/observation.js'
import type { LogEvent } from '../../src/log/log-event.js'
import { encodePlain, type Position } from '../../src/log/position.js'
import type { RowCondition, ViewerCondition } from '../../src/rls/conditions/viewer-condition.js'
import { createChannels } from '../../src/sources/channels/channels.js'
import { createTables } from '../../src/sources/tables/tables.js'
import { FakedListener } from '../support/faked-listener.js'
import { createFakedLog } from '../support/faked-log.js'
import { createGates } from '../support/gates.js'
import { viewerOf } from '../support/viewers.js'
import { column, table } from '../support/watched-tables.js'
import { createIteratingReader, createSubscribedReader, type Reader, type Source } from './readers.js'

/**
 * The subscribed topics: a channel, a table, and the same table as four viewers see it. Conditions decide about cat and eve now and then;
 * bob and eve are slow viewers where the policies are asked.
 */
export const SUBJECTS = ['channel', 'table', 'ann', 'bob', 'cat', 'eve'] as const
export type Subject = (typeof SUBJECTS)[number]

export const TOPICS = ['channel', 'table', 'another'] as const
export type Topic = (typeof TOPICS)[number]

const TABLE = table('table', [column('id', 'int4', { notNull: true })])

/** Which rows the policies let a viewer see. */
const POLICIES: Record<string, (number: number) => boolean> = {
  ann: number => number % 3 > 0,
  bob: number => number % 2 > 0,
  cat: number => number % 4 > 0,
  eve: number => number % 5 > 0,
}

const conditions = new Map<string, ViewerCondition>()

/** What decides about the viewers of a role. */
const CONDITION: RowCondition = {
  of(claims) {
    const known = conditions.get(claims)
    if (known) return known
    const isSeenBy = POLICIES[JSON.parse(claims).sub] as (number: number) => boolean
    const numbers = Array.from({ length: 600 }, (_, i) => i).filter(isSeenBy)
    const condition: ViewerCondition = {
      filter: {
        kind: 'in',
        column: TABLE.columns[0] as TableColumn,
        negated: false,
        operands: numbers.map(number => ({ key: number, text: String(number) })),
      },
      sees: image => isSeenBy(Number(image.get('id'))),
    }
    conditions.set(claims, condition)
    return condition
  },
}

export function isSeen(subject: Subject, { topic, position }: LogEvent): boolean {
  if (subject === 'channel' || topic !== 'table') return subject === topic
  return POLICIES[subject]?.(position.id) ?? true
}

/**
 * The modules between the log and the clients; only the log, LISTEN and the answers of the policies are
 * faked.
 */
export function createWorld(options: { readonly pageSizes: readonly number[]; readonly maxWaiting: number }) {
  const log = createFakedLog(options.pageSizes)
  const policies = createGates()
  const faults: unknown[] = []
  const observe: Observe = observation => {
    if (observation.type === 'fault') faults.push(observation.error)
  }
  const listener = new FakedListener()
  const channels = createChannels({ listener, log: log.follower })
  let conditionsRead = 0
  const tables = createTables({
    log: log.follower,
    readConditions(_table, roles) {
      expect([...roles].every(role => role === 'role' || role === 'decided')).toBe(true)
      const number = ++conditionsRead
      if (number % 5 === 0) return undefined
      return policies.pass().then(() => new Map(number % 3 === 0 ? [] : [['decided', CONDITION]]))
    },
    async checkVisibility(_table, viewers, images) {
      await policies.pass()
      const answers = viewers.map(viewer => {
        const subject = viewer.claims.sub as Subject
        const answer = images.map(image => POLICIES[subject]?.(Number(image.get('id'))) === true)
        // The policies take longer for some of them.
        return [
          viewerKey(viewer, true),
          subject === 'bob' || subject === 'eve' ? policies.pass().then(() => answer) : answer,
        ] as const
      })
      return new Map(answers)
    },
    maxWaiting: options.maxWaiting,
    observe,
  })
  tables.switchTo([TABLE], true)
  const scheduler = createScheduler(error => faults.push(error))
  const memory = createClientMemory(2 ** 30)
  const backpressure = createBackpressure({
    limits: { maxBuffer: 2 ** 30 },
    scheduler,
    observe,
  })
  const shared = { scheduler, backpressure, memory, observe }
  const connection = {
    limits: { maxBuffer: 2 ** 30 },
    stallTimeout: 2 ** 30,
    ...shared,
  }
  const groups = createGroups({ limits: { maxEvent: 2 ** 30 }, ...shared })

  function sourceOf(subject: Subject, after: string | undefined): Source {
    if (subject === 'channel') return channels.source(subject, after) as Source
    const viewer =
      subject === 'table'
        ? undefined
        : viewerOf(subject === 'cat' || subject === 'eve' ? 'decided' : 'role', { sub: subject })
    return tables.changes(TABLE, {
      filter: EVERYTHING,
      operations: undefined,
      after,
      viewer,
      used: TABLE.columns.map(({ name }) => name),
      usesKey: true,
    }) as Source
  }

  return {
    log,
    listener,
    policies,
    faults,
    read(subject: Subject, isGrouped: boolean, after: Position | undefined): Reader {
      const source = sourceOf(subject, after && encodePlain(after))
      return isGrouped
        ? createSubscribedReader({ groups, ...connection }, subject, source, after)
        : createIteratingReader(source)
    },
    async close() {
      await tables.close()
      backpressure.close()
    },
  }
}
