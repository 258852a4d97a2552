import { expect } from 'vitest'
import { waitUntil } from '../../support/wait.js'
import type { Chapter } from '../chapter.js'
import type { Day } from '../day.js'
import type { Recorder } from '../recorder.js'
import { ORDERS, PRODUCTS, type Topic } from '../topics.js'

/** How long clients may take to catch up, in ms. */
const PATIENCE_MS = 30_000

export const CLOSING: Chapter = {
  title: 'the application stops, and all clients are compared with the tables',
  async run(day, { writers, recorders, laptops, screens, branchOf }) {
    await writers.stop()
    let events = 0
    for (const recorder of recorders) {
      const expected = await audited(day, recorder.topic, branchOf(recorder))
      await arrive(recorder, expected.length)
      // As sets, since transactions that ran at the same time may be in another order than the table `audit`.
      expect(recorder.names.toSorted(), recorder.name).toEqual(expected.toSorted())
      events += recorder.names.length
    }
    for (const client of [...recorders, ...laptops]) {
      if (!client.topic.rows) continue
      const wanted = await rowsOf(day, client.topic, branchOf(client))
      const kept = () => JSON.stringify([...client.rows.values()].toSorted((a, b) => a.id - b.id))
      await shows(client.name, kept, wanted)
    }
    for (const screen of screens) {
      for (const topic of [ORDERS, PRODUCTS])
        await shows(screen.name, () => screen.show(topic), await rowsOf(day, topic, branchOf(screen)))
      const [row] = await day.cluster.query<{ result: string }>(screen.query.sql)
      await shows(screen.name, screen.showQuery, JSON.stringify(JSON.parse(row?.result as string)))
    }
    const sum = (of: (recorder: Recorder) => number) => recorders.map(of).reduce((a, b) => a + b)
    const connections = `${sum(each => each.connections)} connections, of which ${sum(each => each.refused)} were refused`
    return `${events} events at ${recorders.length} clients over ${connections}: none is missing, none came twice; ${recorders.length + laptops.length + screens.length} clients are equal to the tables`
  },
}

/** The events of a topic, as triggers have recorded them. */
async function audited({ cluster }: Day, topic: Topic, branch: string | undefined): Promise<string[]> {
  const rows = await cluster.query<{ name: string }>(
    'select name from audit where topic = $1 and ($2::text is null or branch is null or branch = $2)',
    [topic.name, branch],
  )
  return rows.map(({ name }) => name)
}

async function rowsOf({ cluster }: Day, topic: Topic, branch: string | undefined): Promise<string> {
  const rows = await cluster.query<{ row: string }>(topic.rows?.sql as string)
  const all = rows.map(({ row }) => JSON.parse(row) as { readonly branch?: string })
  return JSON.stringify(
    all.filter(row => branch === undefined || row.branch === undefined || row.branch === branch),
  )
}

async function arrive(recorder: Recorder, events: number): Promise<void> {
  await waitUntil(
    () => recorder.names.length >= events,
    () => `${recorder.name} to have ${events} events instead of ${recorder.names.length}`,
    PATIENCE_MS,
  )
}

async function shows(name: string, what: () => string, wanted: string): Promise<void> {
  await waitUntil(
    () => what() === wanted,
    () => `${name} to have ${wanted} instead of ${what()}`,
    PATIENCE_MS,
  )
}
