import { comparePositions, type Position } from '../../src/log/position.js'
import { positionOf } from './positions.js'
import { apply, type Row, type Seen, type TopicSpec, type View } from './topics.js'

/** An event, and the connection that delivered it. */
export interface Received {
  readonly seen: Seen
  readonly connection: number
}

/** An unbroken run of events of one client, from a snapshot or a position on. */
export interface Segment {
  readonly cursor: string
  readonly start: Position
  /** Rows of the snapshot that it began with, by key; empty if the table was empty. Undefined: it began without a snapshot. */
  readonly snapshot: ReadonlyMap<string, string> | undefined
  readonly received: Received[]
}

/** The events that one client has seen. Events in the wrong order are noticed at once, missing events at the end. */
export class ClientRecord {
  readonly topic: TopicSpec
  readonly view: View
  readonly segments: Segment[] = []
  readonly #complain: (text: string) => void
  #rows = new Map<string, string>()

  constructor(topic: TopicSpec, view: View, complain: (text: string) => void) {
    this.topic = topic
    this.view = view
    this.#complain = complain
  }

  get current(): Segment | undefined {
    return this.segments.at(-1)
  }

  get count(): number {
    return this.segments.reduce((sum, { received }) => sum + received.length, 0)
  }

  /** The list that this client would show. */
  get rows(): ReadonlyMap<string, string> {
    return this.#rows
  }

  /** The client's position: the last event that it has seen, or its start. */
  get last(): Seen | undefined {
    return this.current?.received.at(-1)?.seen
  }

  begin(cursor: string, rows?: readonly Row[]): void {
    const start = positionOf(cursor)
    const former = this.last
    if (former && comparePositions(start, former.position) < 0) {
      this.#complain(
        `the start ${cursor} lies before ${former.name} ${former.cursor}, which was seen before the client asked for the start`,
      )
    }
    const snapshot = rows && new Map(rows.map(row => [this.topic.keyOf(row), JSON.stringify(row)]))
    if (rows && snapshot && snapshot.size !== rows.length) this.#complain('a snapshot contains a row twice')
    this.#rows = new Map(snapshot)
    this.segments.push({ cursor, start, snapshot, received: [] })
  }

  take(seen: Seen, connection: number): void {
    const { current, last } = this
    if (!current) return
    const before = last?.position ?? current.start
    if (comparePositions(seen.position, before) <= 0) {
      this.#complain(
        `${seen.name} ${seen.cursor} came again, or too late: after ${last?.name ?? 'the beginning'} ${last?.cursor ?? ''}`,
      )
    }
    current.received.push({ seen, connection })
    apply(this.#rows, seen)
  }

  /** Forgets the last events, like a client that saved its state before them. @returns the cursor to resume after */
  rewind(events: number): string | undefined {
    const { current } = this
    if (!current || current.received.length <= events) return undefined
    current.received.length -= events
    this.#rows = new Map(current.snapshot)
    for (const { seen } of current.received) apply(this.#rows, seen)
    return this.last?.cursor
  }
}
