import { setTimeout as delay } from 'node:timers/promises'
import { comparePositions, type Position } from '../../src/log/position.js'
import { positionOf } from './positions.js'
import type { Random } from './random.js'
import { ClientRecord } from './record.js'
import type { StressServer } from './servers.js'
import { openStream, type Result, type Stream, TRANSPORTS } from './streams.js'
import { type Row, type Seen, show, type TopicSpec, type View } from './topics.js'

export interface ClientOptions {
  readonly name: string
  readonly topic: TopicSpec
  readonly view: View
  /** The cursor from which clients start that do not start with a snapshot. */
  readonly origin: string
  /** Longest time on one connection, in ms. */
  readonly stay: number
  /** Probability, 0 to 1, that the client reads the snapshot again when it reconnects. */
  readonly anew: number
  readonly servers: readonly StressServer[]
  readonly random: Random
  /** Receives a description of anything that must not happen. */
  readonly complain: (text: string) => void
}

/** Counts of the client's actions. */
export interface Tally {
  /** Connections that delivered something; over multipart, an event. */
  resumes: number
  snapshots: number
  rewinds: number
  readonly ways: Map<string, number>
}

/** Longest time for the answer to a query, in ms; a server may wait long for its database. */
const PATIENCE = 15_000

/** Errors that are expected while servers and databases stop and start. Everything else is a fault. */
const NORMAL_CODES: readonly unknown[] = ['DATABASE_FAILED']

/** A client that disconnects and reconnects at random, to any server, over any transport, with any way to pass its cursor. */
export class StressClient {
  readonly record: ClientRecord
  readonly tally: Tally = { resumes: 0, snapshots: 0, rewinds: 0, ways: new Map() }
  /** A description of each connection for reports: transport, server and position. */
  readonly connections: string[] = []
  readonly #options: ClientOptions
  /** The newest position that a server sent. */
  #position: string | undefined
  #holding = false
  #isStaying = false
  #held = () => {}
  #awaited: { readonly key: string; readonly operation: string; readonly resolve: () => void } | undefined

  constructor(options: ClientOptions) {
    this.#options = options
    this.record = new ClientRecord(options.topic, options.view, text => this.#complain(text))
  }

  get name(): string {
    return this.#options.name
  }

  /** Its position, in words. */
  whereabouts(): string {
    const { last, current } = this.record
    const at = last ? `${last.name} ${last.cursor}` : (current?.cursor ?? 'nowhere')
    return `${at}, last position ${this.#position ?? 'none'}, ${this.connections.at(-1) ?? 'not connected'}`
  }

  /** Connects and disconnects until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { random, origin, anew, topic } = this.#options
    if (anew === 0 || !topic.snapshot) this.record.begin(origin, topic.snapshot ? [] : undefined)
    while (!signal.aborted) {
      if (!this.record.current || (!this.#holding && topic.snapshot && random.chance(anew))) {
        if (!(await this.#readSnapshot(signal))) continue
      }
      this.#isStaying = true
      this.#held()
      await this.#stay(signal)
      this.#isStaying = false
      await delay(random.int(0, 60), undefined, { signal }).catch(() => undefined)
    }
  }

  /** From now on, the client stays connected and leaves only when it is cut off. Resolves when it continues from a fixed position. */
  hold(): Promise<void> {
    this.#holding = true
    return new Promise<void>(resolve => {
      this.#held = resolve
      if (this.#isStaying) resolve()
    })
  }

  /** Connects and disconnects at random again. */
  release(): void {
    this.#holding = false
    this.#awaited = undefined
  }

  /** Resolves when the client has seen the last of these changes that it can see. */
  reach(markers: readonly Pick<Seen, 'operation' | 'key' | 'row' | 'old'>[]): Promise<void> {
    const last = markers.findLast(marker =>
      show(this.#options.view, { ...marker, cursor: '', position: NOWHERE, transaction: '', name: '' }),
    )
    if (!last?.key) throw new Error(`no marker for ${this.name}`)
    const { key, operation } = last
    return new Promise(resolve => {
      this.#awaited = { key, operation, resolve }
      if (this.record.current?.received.some(({ seen }) => this.#isAwaited(seen))) resolve()
    })
  }

  #isAwaited({ key, operation }: Seen): boolean {
    return key === this.#awaited?.key && operation === this.#awaited.operation
  }

  #complain(text: string): void {
    this.#options.complain(
      `${this.name}: ${text}; connection ${this.connections.length - 1}: ${this.connections.at(-1) ?? 'none'}`,
    )
  }

  async #readSnapshot(signal: AbortSignal): Promise<boolean> {
    const { random, servers, topic, view } = this.#options
    const server = random.pick(servers)
    this.connections.push(`snapshot of ${server.name}`)
    try {
      const response = await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: topic.snapshot, variables: { where: view.where } }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]),
      })
      const result = (await response.json()) as Result
      if (!this.#isUsable(result) || !result.data) return false
      const { cursor, rows } = result.data.it as { cursor: string; rows: Row[] }
      this.record.begin(cursor, rows)
      this.#position = cursor
      this.tally.snapshots++
      return true
    } catch {
      await delay(random.int(20, 150), undefined, { signal }).catch(() => undefined)
      return false // no server answers, or it stopped in the middle
    }
  }

  /** One connection, from the client's position until it ends. */
  async #stay(signal: AbortSignal): Promise<void> {
    const { random, topic } = this.#options
    const connection = this.connections.length
    let isOpen = true
    let isAccepted = false
    let confirmed: Position | undefined
    const accepted = () => {
      if (!isAccepted) this.tally.resumes++
      isAccepted = true
    }
    const stream = this.#open({
      result: result => {
        if (!isOpen || !this.#isUsable(result) || !result.data) return
        accepted()
        const seen = topic.read(result.data.it)
        if (!seen) return
        if (result.extensions?.cursor !== seen.cursor) {
          this.#complain(
            `${seen.name} has cursor ${seen.cursor}, and ${result.extensions?.cursor} in its extensions`,
          )
        }
        if (confirmed && comparePositions(seen.position, confirmed) <= 0) {
          this.#complain(`${seen.name} ${seen.cursor} came after a position that already included it`)
        }
        this.#position = seen.cursor
        this.record.take(seen, connection)
        if (this.#isAwaited(seen)) this.#awaited?.resolve()
      },
      position: cursor => {
        if (!isOpen || cursor === '') return
        accepted()
        confirmed = positionOf(cursor)
        this.#position = cursor
      },
    })
    const thrownOut = new AbortController()
    void stream.ended.then(() => thrownOut.abort())
    const idle = this.#idle(stream, AbortSignal.any([signal, thrownOut.signal]))
    const how = await Promise.race([stream.ended, idle])
    isOpen = false
    stream.drop()
    if (/^4\d\d /.test(how)) this.#complain(`refused with ${how}`)
    if (how !== 'left') await delay(random.int(10, 120), undefined, { signal }).catch(() => undefined)
  }

  /** Reads, with pauses, until it is time to disconnect. */
  async #idle(stream: Stream, until: AbortSignal): Promise<string> {
    const { random, stay } = this.#options
    try {
      do {
        await delay(random.int(0, stay), undefined, { signal: until })
        if (random.chance(0.1)) {
          stream.pause()
          await delay(random.int(50, 500), undefined, { signal: until })
          stream.resume()
        }
      } while (this.#holding)
    } catch {
      // Cut off, or the run is over.
    }
    return 'left'
  }

  #open(events: Parameters<typeof openStream>[2]): Stream {
    const { random, servers, topic, view, origin } = this.#options
    const server = random.pick(servers)
    const transport = random.pick(TRANSPORTS)
    const { after, what } = this.#choosePosition(origin)
    const way = random.pick(
      transport.startsWith('SSE') ? ['argument', 'extensions', 'Last-Event-ID'] : ['argument', 'extensions'],
    )
    const variables = { where: view.where, operations: view.operations?.map(letter => WORDS[letter]) }
    const label = `${transport}, ${way}`
    this.tally.ways.set(label, (this.tally.ways.get(label) ?? 0) + 1)
    this.connections.push(`${transport} with ${server.name}, after ${what} ${after} by ${way}`)
    return openStream(
      transport,
      {
        url: server.url,
        query: topic.subscription,
        variables: way === 'argument' ? { ...variables, after } : variables,
        extensions: way === 'extensions' ? { after } : undefined,
        lastEventId: way === 'Last-Event-ID' ? after : undefined,
      },
      events,
    )
  }

  /** The last event seen, the last position sent, or an older event, as if the client had not saved the later ones. */
  #choosePosition(origin: string): { after: string; what: string } {
    const { random } = this.#options
    const { last, current } = this.record
    if (!this.#holding && random.chance(0.1)) {
      const after = this.record.rewind(random.int(1, 300))
      if (after !== undefined) {
        this.tally.rewinds++
        this.#position = after
        return { after, what: 'an older event' }
      }
    }
    if (this.#position !== undefined && random.chance(0.6)) return { after: this.#position, what: 'position' }
    if (last) return { after: last.cursor, what: 'event' }
    const after = current?.cursor ?? origin
    return { after, what: 'beginning' }
  }

  /** Reports errors that are not caused by an outage. */
  #isUsable({ errors }: Result): boolean {
    for (const error of errors ?? []) {
      if (NORMAL_CODES.includes(error.extensions?.code)) continue
      this.#complain(`error ${error.extensions?.code ?? ''} ${error.message}`)
    }
    return !errors
  }
}

const NOWHERE = { n: 0, token: 0, ord: 0, statement: 0, id: 0 }

const WORDS: Readonly<Record<string, string>> = { I: 'INSERT', U: 'UPDATE', D: 'DELETE', T: 'TRUNCATE' }
