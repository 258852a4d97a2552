import { setTimeout as delay } from 'node:timers/promises'
import { applyChange } from '../../src/client/index.js'
import { comparePositions } from '../../src/log/position.js'
import { positionOf } from '../stress/positions.js'
import { openStream, type Result, type Transport } from '../stress/streams.js'
import { ask, type Entrance } from './requests.js'
import { type Change, nameOf, type Row, type Topic } from './topics.js'

export interface RecorderOptions {
  readonly name: string
  readonly topic: Topic
  readonly transport: Transport
  readonly entrance: Entrance
  /** Signs a token for one connection. */
  readonly token: () => Promise<string>
  /** Whether it reads all rows again when its cursor has expired. Otherwise that is a fault. */
  readonly mayStartOver?: boolean
  readonly complain: (text: string) => void
}

/** Errors after which a client connects again, with another token if it needs one. */
const PASSING = ['DATABASE_FAILED', 'SERVER_STOPPING', 'UNAUTHENTICATED', 'AUTHENTICATION_UNAVAILABLE']
const EXPIRED = ['CURSOR_EXPIRED', 'CURSOR_INVALID']
/** Between two connections, in ms. */
const PAUSE_MS = 100

/** A client at the level of the protocol: it resumes after its cursor, writes down each event, and keeps a copy of the rows. */
export class Recorder {
  /** The names of the events that it has got, in their order. */
  readonly names: string[] = []
  readonly rows = new Map<number, Row>()
  connections = 0
  /** Connections that the server or nginx refused because it was away, stopped, or had no database. */
  refused = 0
  /** How often it has read all rows, after the first time. */
  startedOver = 0
  readonly #options: RecorderOptions
  #cursor: string | undefined
  #last: string | undefined
  #over = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  get topic(): Topic {
    return this.#options.topic
  }

  /** Begins after a cursor, or else with the rows. */
  async begin(cursor?: string): Promise<void> {
    if (cursor !== undefined) this.#cursor = cursor
    else while (!(await this.#readRows().catch(() => false))) await delay(PAUSE_MS)
  }

  /** Connects, and stays connected until `leave`. */
  follow(): void {
    this.#over = new AbortController()
    this.#running = this.#run(this.#over.signal)
  }

  async leave(): Promise<void> {
    this.#over.abort()
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#cursor === undefined && !(await this.#readRows().catch(() => false))) {
        await delay(PAUSE_MS)
        continue
      }
      await this.#connect(signal)
      if (!signal.aborted) await delay(PAUSE_MS)
    }
  }

  async #readRows(): Promise<boolean> {
    const { entrance, token, topic } = this.#options
    const { body } = await ask(entrance, topic.rows?.snapshot as string, await token())
    const { data } = JSON.parse(body) as { data?: { it?: { cursor: string; rows: Row[] } } | null }
    if (!data?.it) return false
    this.#cursor = data.it.cursor
    this.#last = undefined
    this.rows.clear()
    for (const row of data.it.rows) this.rows.set(row.id, row)
    return true
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const { entrance, token, topic, transport } = this.#options
    const after = this.#cursor
    const isSse = transport.startsWith('SSE')
    let isOpen = true
    const stream = openStream(
      transport,
      {
        ...entrance,
        query: topic.subscription,
        variables: {},
        token: await token(),
        ...(isSse ? { lastEventId: after } : { extensions: { after } }),
      },
      {
        result: result => isOpen && this.#take(result),
        position: cursor => {
          if (isOpen && cursor !== '') this.#cursor = cursor
        },
      },
    )
    this.connections++
    signal.addEventListener('abort', stream.drop, { once: true })
    if (signal.aborted) stream.drop()
    const how = await stream.ended
    isOpen = false
    signal.removeEventListener('abort', stream.drop)
    if (/(^| )5\d\d( |$)/.test(how)) this.refused++
    if (/^4(?!01)\d\d /.test(how) && !EXPIRED.some(code => how.includes(code)))
      this.#complain(`was refused with ${how}`)
  }

  #take({ data, errors }: Result): void {
    for (const { message, extensions } of errors ?? []) {
      const code = extensions?.code ?? ''
      if (PASSING.includes(code)) continue
      if (!EXPIRED.includes(code) || !this.#options.mayStartOver)
        return this.#complain(`got ${code} ${message}`)
      this.#cursor = undefined
      this.startedOver++
      return
    }
    if (!data) return
    const event = data.it as unknown as Change
    const name = nameOf(event)
    if (name === undefined) return
    if (this.#last !== undefined && comparePositions(positionOf(event.cursor), positionOf(this.#last)) <= 0)
      this.#complain(`got ${name} again, or too late`)
    this.#last = this.#cursor = event.cursor
    this.names.push(name)
    if (this.topic.rows) applyChange(this.rows, event, ({ id }) => id)
  }

  #complain(text: string): void {
    this.#options.complain(`${this.name} ${text}`)
  }
}
