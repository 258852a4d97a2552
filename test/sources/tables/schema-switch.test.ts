import { describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import { createDeferred } from '../../../src/lib/deferred.js'
import type { LogEvent } from '../../../src/log/log-event.js'
import {
  createSchemaSwitch,
  type SchemaSwitch,
  type SwitchTarget,
} from '../../../src/sources/tables/schema-switch.js'
import { table } from '../../support/watched-tables.js'

/** Table `people` in a generation whose history starts after batch `since`. */
const people = (generation: number, since: number): WatchedTable => ({
  ...table('people', []),
  relid: '1',
  generation,
  since: { n: since, token: 1 },
})
const eventOf = (topic: string, generation: number, n: number) =>
  ({ kind: 't', topic, generation, position: { n, token: 1, ord: 1, statement: 1, id: 1 } }) as LogEvent

/** Creates a switch over tables that record its calls, starting with generation 1 of `people`. */
function createTested(options: { readonly settled?: () => Promise<void> | undefined } = {}) {
  const steps: string[] = []
  let known: readonly WatchedTable[] = [people(1, 0)]
  const word = (tables: readonly WatchedTable[]) => tables.map(({ generation }) => generation).join()
  const tables = {
    generationOf: (relid: string) => known.find(each => each.relid === relid)?.generation,
    settled: options.settled ?? (() => undefined),
    switchTo(next: readonly WatchedTable[], isReached: boolean, paused: readonly string[] = []) {
      known = next
      steps.push(`to ${word(next)}${isReached ? ', reached' : ''}${paused.map(relid => `, ${relid} paused`)}`)
    },
    reached: () => void steps.push('reached'),
  } satisfies SwitchTarget['tables']
  let onRefresh: (schema: SchemaSwitch, generation: number) => void = () => undefined
  const schema = createSchemaSwitch()
  schema.setTarget({
    tables,
    async refresh(relid, generation) {
      steps.push(`refresh ${relid} ${generation}`)
      onRefresh(schema, generation)
    },
    onSwitched: async next => void steps.push(`switched ${word(next)}`),
  })
  return {
    schema,
    steps,
    onRefresh(call: typeof onRefresh) {
      onRefresh = call
    },
  }
}

describe('a list of tables from the catalogue', () => {
  it('waits until every event that was in the log when the list arrived has been delivered', async () => {
    const { schema, steps } = createTested()
    schema.beforePull()
    schema.offer([people(2, 5)], ['9'])
    expect(schema.caughtUp(true)).toBe(undefined) // The log was read before the list arrived.
    expect(steps).toEqual(['reached'])
    schema.beforePull()
    await schema.caughtUp(true)
    expect(steps).toEqual(['reached', 'to 2, reached, 9 paused', 'switched 2'])
    expect(schema.caughtUp(true)).toBe(undefined)
  })

  it('takes effect as not reached if the log cannot be read', async () => {
    const { schema, steps } = createTested()
    schema.offer([people(2, 5)])
    schema.beforePull()
    await schema.caughtUp(false)
    expect(steps).toEqual(['to 2', 'switched 2'])
    expect(schema.caughtUp(false)).toBe(undefined)
    expect(steps.length).toBe(2)
  })

  it('waits for events of the former generation, and takes effect before the first event of the new generation', async () => {
    const { schema, steps } = createTested()
    schema.offer([people(2, 5)])
    expect(schema.advanceTo(eventOf('1', 1, 5))).toBe(undefined)
    expect(steps).toEqual([])
    await schema.advanceTo(eventOf('1', 2, 5))
    expect(steps).toEqual(['to 2', 'switched 2'])
  })

  it('takes effect before the first event after the start of the new history, of any table', async () => {
    const { schema, steps } = createTested()
    schema.offer([people(2, 5)])
    expect(schema.advanceTo(eventOf('other', 9, 5))).toBe(undefined)
    await schema.advanceTo(eventOf('other', 9, 6))
    expect(steps).toEqual(['to 2', 'switched 2'])
  })

  it('takes effect at once, before any event, if it changes no history', async () => {
    const { schema, steps } = createTested()
    schema.offer([people(1, 0), { ...people(7, 9), relid: 'new' }])
    await schema.advanceTo(eventOf('1', 1, 1))
    expect(steps).toEqual(['to 1,7', 'switched 1,7'])
  })

  it('replaces a list that has not taken effect yet', async () => {
    const { schema, steps } = createTested()
    schema.offer([people(2, 5)])
    schema.beforePull()
    schema.offer([people(3, 6)])
    expect(schema.caughtUp(true)).toBe(undefined)
    schema.beforePull()
    await schema.caughtUp(true)
    expect(steps).toEqual(['reached', 'to 3, reached', 'switched 3'])
  })

  it('takes effect once the waiting events have been delivered with the former columns', async () => {
    const settled = createDeferred()
    const { schema, steps } = createTested({ settled: () => settled.promise })
    schema.offer([people(1, 0)])
    const taken = schema.advanceTo(eventOf('1', 1, 1))
    await Promise.resolve()
    expect(steps).toEqual([])
    settled.resolve()
    await taken
    expect(steps).toEqual(['to 1', 'switched 1'])
  })
})

describe('an event of an unknown generation', () => {
  it('refreshes the catalogue, and waits until the new list is in effect', async () => {
    const { schema, steps, onRefresh } = createTested()
    onRefresh((of, generation) => of.offer([people(generation, 5)]))
    await schema.advanceTo(eventOf('1', 2, 5))
    expect(steps).toEqual(['refresh 1 2', 'to 2', 'switched 2'])
    expect(schema.advanceTo(eventOf('1', 2, 6))).toBe(undefined)
  })

  it('refreshes the catalogue once for each generation, even if no new list follows', async () => {
    const { schema, steps } = createTested()
    await schema.advanceTo(eventOf('1', 2, 5))
    expect(schema.advanceTo(eventOf('1', 2, 5))).toBe(undefined)
    await schema.advanceTo(eventOf('1', 3, 5))
    expect(steps).toEqual(['refresh 1 2', 'refresh 1 3'])
  })

  it('causes no refresh if its table is not watched or it belongs to a channel', () => {
    const { schema } = createTested()
    expect(schema.advanceTo(eventOf('other', 9, 5))).toBe(undefined)
    expect(schema.advanceTo({ ...eventOf('1', 9, 5), kind: 'c' })).toBe(undefined)
  })
})
