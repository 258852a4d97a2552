import { comparePositions, type Position } from '../../src/log/position.js'
import type { ClientRecord, Received, Segment } from './record.js'
import { apply, type Row, type Seen, show, type TopicSpec, type View } from './topics.js'

/** The parts of a client that the verdict needs. */
export interface Witness {
  readonly name: string
  readonly record: ClientRecord
  readonly connections: readonly string[]
}

export interface Evidence {
  readonly topic: TopicSpec
  /** Names of all committed changes, in any order, from the audit table. */
  readonly truth: readonly string[]
  /** The table at the end; undefined for a channel. */
  readonly rows: readonly Row[] | undefined
  /** The first client has followed everything since before the first write. */
  readonly clients: readonly [Witness, ...Witness[]]
}

export interface Verdict {
  readonly events: number
  readonly lost: number
  readonly doubled: number
  /** Descriptions of the faults, with details that help to find the cause. */
  readonly problems: readonly string[]
}

/** The number of faults of each kind that are described; the rest are counted. */
const MOST = 3

/** Compares what each client saw with the committed changes and with the other clients. */
export function judge({ topic, truth, rows, clients }: Evidence): Verdict {
  const [witness] = clients
  const reference = (witness.record.current?.received ?? []).map(({ seen }) => seen)
  const problems: string[] = []
  let { lost, doubled } = compareWithTruth(topic, truth, reference, problems)
  problems.push(...checkOrder(topic, reference))
  for (const client of clients) {
    for (const [i, segment] of client.record.segments.entries()) {
      const where = `${client.name}, ${i + 1}. part from ${segment.cursor}`
      const isLast = segment === client.record.current
      const counts = compareWithReference(where, client, segment, isLast, reference, problems)
      lost += counts.lost
      doubled += counts.doubled
      problems.push(...checkSnapshot(where, client.record.view, segment, reference))
    }
    if (rows) problems.push(...checkRows(client, topic, rows))
  }
  return { events: reference.length, lost, doubled, problems }
}

function compareWithTruth(
  topic: TopicSpec,
  truth: readonly string[],
  reference: readonly Seen[],
  problems: string[],
): { lost: number; doubled: number } {
  const open = new Map<string, number>()
  for (const name of truth) open.set(name, (open.get(name) ?? 0) + 1)
  const surplus: Seen[] = []
  for (const seen of reference) {
    const count = open.get(seen.name) ?? 0
    if (count > 0) open.set(seen.name, count - 1)
    else surplus.push(seen)
  }
  const missing = [...open].filter(([, count]) => count > 0).map(([name]) => name)
  tell(problems, missing, name => `${topic.name}: ${name} was committed, and never came`)
  tell(
    problems,
    surplus,
    seen => `${topic.name}: ${seen.name} ${seen.cursor} came, and was not committed, or not so often`,
  )
  return { lost: missing.length, doubled: surplus.length }
}

/** Checks that the events of each transaction are contiguous, and that each old image of a row equals its previous new image. */
function checkOrder(topic: TopicSpec, reference: readonly Seen[]): string[] {
  const problems: string[] = []
  const ended = new Set<string>()
  const versions = new Map<string, unknown>()
  let transaction: string | undefined
  for (const seen of reference) {
    if (seen.transaction !== transaction) {
      if (transaction !== undefined) ended.add(transaction)
      transaction = seen.transaction
      if (ended.has(transaction))
        problems.push(`${topic.name}: transaction ${transaction} is torn before ${seen.name} ${seen.cursor}`)
    }
    if (seen.operation === 'T') versions.clear()
    if (seen.key === null || seen.operation === 'N') continue
    const known = versions.get(seen.key)
    if (known !== seen.old?.version) {
      problems.push(
        `${topic.name}: ${seen.name} ${seen.cursor} came when version ${known ?? '-'} was the last`,
      )
    }
    if (seen.row) versions.set(seen.key, seen.row.version)
    else versions.delete(seen.key)
  }
  return problems.slice(0, MOST)
}

function compareWithReference(
  where: string,
  client: Witness,
  segment: Segment,
  isLast: boolean,
  reference: readonly Seen[],
  problems: string[],
): { lost: number; doubled: number } {
  const { received } = segment
  const { view } = client.record
  const end = received.at(-1)?.seen.position
  const expected = reference.slice(indexAfter(reference, segment.start)).flatMap(event => {
    const isDue = isLast || (end !== undefined && comparePositions(event.position, end) <= 0)
    return (isDue && show(view, event)) || []
  })
  const got = new Map(received.map(each => [each.seen.cursor, each]))
  const wanted = new Map(expected.map(event => [event.cursor, event]))
  const missing = expected.filter(({ cursor }) => !got.has(cursor))
  const surplus = received.filter(
    ({ seen }, i) => !wanted.has(seen.cursor) || received[i - 1]?.seen.cursor === seen.cursor,
  )
  tell(
    problems,
    missing,
    event => `${where}: ${event.name} ${event.cursor} never came; ${around(event, client, received)}`,
  )
  tell(
    problems,
    surplus,
    ({ seen, connection }) =>
      `${where}: ${seen.name} ${seen.cursor} was not due, over ${client.connections[connection]}`,
  )
  if (missing.length === 0 && surplus.length === 0) {
    const wrong = received.filter(({ seen }, i) => !isSame(seen, expected[i]))
    tell(problems, wrong, ({ seen, connection }) => {
      const event = wanted.get(seen.cursor)
      return `${where}: ${text(seen)} instead of ${event && text(event)}, over ${client.connections[connection]}`
    })
  }
  return { lost: missing.length, doubled: surplus.length }
}

function indexAfter(reference: readonly Seen[], position: Position): number {
  let low = 0
  let high = reference.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (comparePositions((reference[middle] as Seen).position, position) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Checks that the snapshot is the table at exactly that position. */
function checkSnapshot(where: string, view: View, segment: Segment, reference: readonly Seen[]): string[] {
  if (!segment.snapshot || view.operations) return []
  const rows = new Map<string, string>()
  for (const event of reference.slice(0, indexAfter(reference, segment.start))) {
    const shown = show(view, event)
    if (shown) apply(rows, shown)
  }
  return differences(`${where}: its snapshot, against the changes up to there`, segment.snapshot, rows)
}

function checkRows({ name, record }: Witness, topic: TopicSpec, rows: readonly Row[]): string[] {
  if (record.view.operations) return []
  const visible = rows
    .filter(record.view.matches)
    .map(row => [topic.keyOf(row), JSON.stringify(row)] as const)
  return differences(`${name}: its list at the end, against the table`, record.rows, new Map(visible))
}

function differences(
  where: string,
  got: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string>,
): string[] {
  const keys = [...new Set([...got.keys(), ...wanted.keys()])].filter(key => got.get(key) !== wanted.get(key))
  const problems: string[] = []
  tell(
    problems,
    keys,
    key =>
      `${where}: row ${key} is ${got.get(key) ?? 'not there'} instead of ${wanted.get(key) ?? 'not there'}`,
  )
  return problems
}

/** Describes where in the client's history the event should have arrived. */
function around(event: Seen, { connections }: Witness, received: readonly Received[]): string {
  const next = received.findIndex(({ seen }) => comparePositions(seen.position, event.position) > 0)
  const [before, after] = [received.at(next < 0 ? -1 : next - 1), next < 0 ? undefined : received[next]]
  const say = (each: Received | undefined) =>
    each
      ? `${each.seen.name} ${each.seen.cursor} over connection ${each.connection}: ${connections[each.connection]}`
      : 'nothing'
  return `before it came ${next === 0 ? 'nothing' : say(before)}; after it ${say(after)}`
}

const text = ({ name, cursor, row, old }: Seen) =>
  `${name} ${cursor} ${JSON.stringify(row)} ${JSON.stringify(old)}`

const isSame = (a: Seen, b: Seen | undefined) => b !== undefined && text(a) === text(b)

function tell<T>(problems: string[], values: readonly T[], say: (value: T) => string): void {
  problems.push(...values.slice(0, MOST).map(say))
  if (values.length > MOST) problems.push(`  … and ${values.length - MOST} more of these`)
}
