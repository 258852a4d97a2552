import { viewerKey } from '../../src/auth/viewer.js'
import { createBackpressure } from '../../src/delivery/backpressure.js'
import { createGroups } from '../../src/delivery/groups.js'
import { Outbound } from '../../src/delivery/outbound.js'
import { createScheduler } from '../../src/delivery/scheduler.js'
import type { Sink } from '../../src/delivery/sink.js'
import type { SubscriptionRequest } from '../../src/delivery/subscription.js'
import type { SubscriptionHandle } from '../../src/delivery/subscription-handle.js'
import { EVERYTHING, type Filter, parseFilter } from '../../src/filters/index.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { createClientMemory } from '../../src/lib/limits/client-memory.js'
import type { LogEvent } from '../../src/log/log-event.js'
import { encodePlain, type Position } from '../../src/log/position.js'
import type { RowChange } from '../../src/sources/tables/row-change.js'
import { createTables } from '../../src/sources/tables/tables.js'
import { createFakedLog } from '../support/faked-log.js'
import { createGates } from '../support/gates.js'
import { viewerOf } from '../support/viewers.js'
import { column, image, table } from '../support/watched-tables.js'

const NUMBERED = table('numbered', [column('id', 'int4', { notNull: true }), column('v', 'int4')])

/** A row of the table: its value by its key. */
export type Rows = ReadonlyMap<number, number>

/** How a subscription selects rows, and how its changes arrive. */
export interface SubscriptionOptions {
  readonly isInitial: boolean
  readonly every: number
  /** Only rows with at least this value. */
  readonly least: number
  /** Only rows that policies let it see: those whose value is not divisible by three. */
  readonly isSecured: boolean
  /** Whether it reads by `EventSource.iterate`, as other GraphQL servers do. */
  readonly isIterated: boolean
}

/** A client and its copy of the rows. */
export interface Copy {
  readonly asked: SubscriptionOptions
  readonly rows: Map<number, number>
  /** Position of the last change that it took, or of its start. */
  position: Position | undefined
  /** The changes that it took since its start. */
  readonly taken: Delivered[]
  /** Whether it has all rows that `initial` begins with. */
  isReady: boolean
  hasEnded: boolean
  /** Whether it was not accepted. */
  isRefused: boolean
  /** Takes the next change, immediately or when it arrives. */
  take(): void
  stop(): void
}

export interface Delivered {
  readonly operation: RowChange['operation']
  readonly id: number | undefined
  readonly v: number | undefined
  readonly position: Position
}

/** Whether a subscription has this row. */
export function selects({ least, isSecured }: SubscriptionOptions, v: number): boolean {
  return v >= least && !(isSecured && v % 3 === 0)
}

const json = (id: number, v: number) => `{"id":${id},"v":${v}}`

/** A table, the log of its changes, and subscriptions to it; only the log, policies and reads of rows are faked. */
export function createCopies(pageSizes: readonly number[]) {
  const log = createFakedLog(pageSizes)
  const policies = createGates()
  const reads = createGates()
  const faults: unknown[] = []
  const observe = (observation: { readonly type: string }) => {
    if (observation.type === 'fault') faults.push(observation)
  }
  const rows = new Map<number, number>()
  /** The rows at the end of each batch of the present history. */
  let states: { readonly position: Position; readonly rows: Rows }[] = []
  let numbers = 0
  /** How many of the next reads of rows fail. */
  let failures = 0
  /** The schema, which subscriptions move to by `renew`. In every second one, those that differ in their sharing have equal requests. */
  let schema = 0
  let renewing: Promise<void> | undefined
  let joins = 0
  const tables = createTables({
    log: log.follower,
    async checkVisibility(_table, viewers, images) {
      await policies.pass()
      const answer = images.map(each => Number(each.get('v')) % 3 > 0)
      return new Map(viewers.map(viewer => [viewerKey(viewer, true), answer]))
    },
    observe,
  })
  tables.switchTo([NUMBERED], true)
  const scheduler = createScheduler(error => faults.push(error))
  const memory = createClientMemory(2 ** 30)
  const backpressure = createBackpressure({ limits: { maxBuffer: 2 ** 30 }, scheduler, observe })
  const shared = { scheduler, backpressure, memory, observe }
  const groups = createGroups({ limits: { maxEvent: 2 ** 30 }, ...shared })
  const end = () => log.positions().at(-1) as Position
  const note = () => states.push({ position: end(), rows: new Map(rows) })
  note()

  function sourceOf(asked: SubscriptionOptions, after: Position | undefined) {
    const filter: Filter =
      asked.least === 0
        ? EVERYTHING
        : parseFilter(new Map(NUMBERED.columns.map(one => [one.name, one])), { v: { gte: asked.least } })
    return tables.changes(NUMBERED, {
      filter,
      operations: undefined,
      after: after && encodePlain(after),
      viewer: asked.isSecured ? viewerOf('role', { sub: 'ann' }) : undefined,
      used: ['id', 'v'],
      usesKey: true,
      every: asked.every,
      ...(asked.isInitial && {
        initial: { maxRows: 1000 },
        async readInitial() {
          await reads.pass()
          if (failures > 0) {
            failures--
            throw new ListenqlError('DATABASE_FAILED', 'no connection')
          }
          const present = [...rows].filter(([, v]) => selects(asked, v))
          return { position: end(), rows: present.map(([id, v]) => image(NUMBERED, json(id, v))) }
        },
      }),
    })
  }

  function copyOf(asked: SubscriptionOptions, from: Rows, position: Position | undefined): Copy {
    const copy: Copy = {
      asked,
      rows: new Map([...from].filter(([, v]) => selects(asked, v))),
      position,
      taken: [],
      isReady: position !== undefined,
      hasEnded: false,
      isRefused: false,
      take: () => undefined,
      stop: () => undefined,
    }
    const source = sourceOf(asked, position)
    const takeOne = (change: Delivered) => apply(copy, change)
    if (asked.isIterated) readByIteration(copy, () => source.iterate(), takeOne)
    else readInGroup(copy, source, position, takeOne)
    return copy
  }

  function readInGroup(
    copy: Copy,
    source: ReturnType<typeof sourceOf>,
    after: Position | undefined,
    takeOne: (change: Delivered) => void,
  ): void {
    const sharing = ++joins % 2
    let room = 0
    const sink: Sink = {
      get writable() {
        return room > 0
      },
      held: 0,
      frame(_subscriber, { text, isFinal }) {
        room--
        if (isFinal) copy.hasEnded = true
        else takeOne(JSON.parse(text) as Delivered)
      },
      control: () => undefined,
      begin: () => undefined,
      end: () => undefined,
      cut: () => undefined,
    }
    const outbound = new Outbound(
      { ...shared, limits: { maxBuffer: 2 ** 30 }, stallTimeout: 2 ** 30 },
      sink,
      { transport: 'test', remote: '' },
    )
    const request = (of: ReturnType<typeof sourceOf>): SubscriptionRequest<RowChange> => {
      const made = schema
      return {
        key: JSON.stringify([copy.asked, made % 2 === 0 ? sharing : 0]),
        bytes: 0,
        source: of,
        render: change => JSON.stringify(delivered(change)),
        renderTooLarge: () => '',
        renderEnd: ({ code }) => code,
        renew: () =>
          made === schema ? undefined : Promise.resolve(request(sourceOf(copy.asked, undefined))),
      }
    }
    let handle: SubscriptionHandle | undefined
    const left = new AbortController()
    groups.join<RowChange>(request(source), { id: '', outbound, after }, left.signal).then(
      joined => {
        handle = joined
      },
      () => {
        copy.hasEnded = true
        copy.isRefused = true
      },
    )
    copy.take = () => {
      room = 1
      outbound.resume()
    }
    copy.stop = () => {
      outbound.close()
      left.abort()
      handle?.leave()
    }
  }

  return {
    log,
    rows,
    faults,
    answer: () => [log.answer(), policies.open(), reads.open()].includes(true),
    /** Answers a read of the log, a query of policies, or a read of rows. */
    answerOne: (which: 'log' | 'policies' | 'rows') =>
      which === 'log' ? log.answer() : which === 'policies' ? policies.open() : reads.open(),
    /** Writes one batch. A row without a value is deleted; an id of 0 empties the table. */
    write(changes: readonly { readonly id: number; readonly v: number | undefined }[]): void {
      const events: Pick<LogEvent, 'operation' | 'old' | 'new'>[] = []
      for (const { id, v } of changes) {
        const before = rows.get(id)
        const old = before === undefined ? null : json(id, before)
        if (id === 0) events.push({ operation: 'T', old: null, new: null })
        else if (v !== undefined) events.push({ operation: old ? 'U' : 'I', old, new: json(id, v) })
        else if (old) events.push({ operation: 'D', old, new: null })
        if (id === 0) rows.clear()
        else if (v === undefined) rows.delete(id)
        else rows.set(id, v)
      }
      log.commit(events.map(change => ({ kind: 't', topic: 'numbered', number: ++numbers, change })))
      note()
    },
    /** A new client with the rows at the end of a batch or, without one, that begins with the rows or with nothing. */
    begin(asked: SubscriptionOptions, batch: number | undefined): Copy {
      const state = batch === undefined ? undefined : states[batch % states.length]
      return copyOf(asked, state?.rows ?? new Map(), state?.position)
    },
    /** The client reconnects after the last change that it took. */
    reconnect(copy: Copy): Copy {
      copy.stop()
      const next = copyOf(copy.asked, new Map(), copy.position)
      for (const [id, v] of copy.rows) next.rows.set(id, v)
      next.taken.push(...copy.taken)
      next.isReady = copy.isReady
      return next
    },
    /** The log stands still while subscriptions move to another schema, as the pump does. @returns whether it has moved */
    dispatchNext: () => !renewing && log.dispatchNext(),
    renew(): void {
      if (renewing) return
      const move = async () => {
        await tables.settled()
        schema++
        await groups.renew()
        renewing = undefined
      }
      renewing = move()
    },
    /** The next read of rows fails. */
    fail(): void {
      failures++
    },
    endHistory(): void {
      states = []
      log.endHistory()
      note()
    },
    async close() {
      await tables.close()
      backpressure.close()
    },
  }
}

function readByIteration(
  copy: Copy,
  begin: () => Promise<AsyncIterableIterator<RowChange>>,
  takeOne: (change: Delivered) => void,
): void {
  const iterator = begin()
  let isTaking = false
  let hasLeft = false
  const end = () => {
    copy.hasEnded = true
  }
  iterator.catch(() => {
    end()
    copy.isRefused = true
  })
  copy.take = () => {
    if (isTaking) return
    isTaking = true
    iterator
      .then(changes => changes.next())
      .then(({ value, done }) => {
        isTaking = false
        if (hasLeft) return
        if (done) end()
        else takeOne(delivered(value))
      }, end)
  }
  copy.stop = () => {
    hasLeft = true
    void iterator.then(
      changes => changes.return?.(),
      () => undefined,
    )
  }
}

function delivered({ operation, key, row, position }: RowChange): Delivered {
  return {
    operation,
    id: key ? Number(key.get('id')) : undefined,
    v: row ? Number(row.get('v')) : undefined,
    position,
  }
}

/** The rule of docs/graphql.md. */
function apply(copy: Copy, change: Delivered): void {
  const { operation, id, v, position } = change
  copy.taken.push(change)
  copy.position = position
  if (operation === 'TRUNCATE' || operation === 'RESET') copy.rows.clear()
  if (operation === 'RESET') copy.isReady = false
  if (operation === 'READY') copy.isReady = true
  if (id === undefined) return
  if (v === undefined) copy.rows.delete(id)
  else copy.rows.set(id, v)
}
