import { setTimeout as delay } from 'node:timers/promises'
import { comparePositions, END_OF_BATCH, type Position } from '../../../src/log/position.js'
import { positionOf } from '../positions.js'
import type { Random } from '../random.js'
import type { StressServer } from '../servers.js'
import { openStream, type Result, TRANSPORTS } from '../streams.js'
import { type LiveDocument, printDocument } from './document.js'
import type { Sight } from './sights.js'
import type { Claim } from './verdict.js'

export interface LiveViewerOptions {
  readonly name: string
  /** The document of the next connection. */
  readonly draw: () => LiveDocument
  readonly sight: Sight
  readonly servers: readonly StressServer[]
  readonly random: Random
  /** Receives a description of anything that must not happen. */
  readonly complain: (text: string) => void
  /** Receives each result with its position, and each position up to which the server says that the last result holds. */
  readonly claim: (claim: Claim) => void
}

/** Errors that are expected while servers and databases stop and start. A live query heals itself after everything else. */
const NORMAL_CODES: readonly unknown[] = ['DATABASE_FAILED']

/** A client that shows one live query, and connects again to any server, over any transport, whenever it is cut off. */
export class LiveViewer {
  readonly #options: LiveViewerOptions
  document: LiveDocument
  /** The data of the newest result of the document. */
  latest: object | undefined
  results = 0
  connections = 0
  #position: Position | undefined
  #text: string | undefined

  constructor(options: LiveViewerOptions) {
    this.#options = options
    this.document = options.draw()
  }

  get name(): string {
    return this.#options.name
  }

  get sight(): Sight {
    return this.#options.sight
  }

  /** Connects again and again until the signal aborts; by itself it leaves rarely. */
  async run(signal: AbortSignal): Promise<void> {
    const { random, servers, draw } = this.#options
    while (!signal.aborted) {
      this.#position = undefined
      if (random.chance(0.5)) {
        this.document = draw()
        this.latest = undefined
      }
      const { document } = this
      const transport = random.pick(TRANSPORTS)
      const every = random.pick([0, 50, 300])
      const isAlone = document.roots.length === 1 && random.chance(0.3)
      const query = isAlone
        ? `subscription { ${printDocument(document, { every })} }`
        : `subscription { live(every: ${every}) { ${printDocument(document)} } }`
      const { token } = this.#options.sight
      const request = { url: random.pick(servers).url, query, variables: {}, token }
      let isNew = true
      const stream = openStream(transport, request, {
        result: result => {
          if (isNew) this.connections++
          isNew = false
          this.#take(result, transport, isAlone)
        },
        position: cursor => this.#hold(cursor, transport),
      })
      const left = new AbortController()
      const leave = delay(random.int(500, 20_000), undefined, {
        signal: AbortSignal.any([signal, left.signal]),
      })
      void leave.then(
        () => stream.drop(),
        () => stream.drop(),
      )
      await stream.ended
      left.abort()
      await delay(random.int(0, 60), undefined, { signal }).catch(() => undefined)
    }
  }

  #take({ data, errors, extensions }: Result, transport: string, isAlone: boolean): void {
    const { name, complain, claim } = this.#options
    const { document } = this
    const by = `${name} over ${transport}`
    const failed = errors?.filter(({ extensions: known }) => !NORMAL_CODES.includes(known?.code))
    if (failed?.length) complain(`${by}: ${JSON.stringify(failed)}`)
    const all = data as unknown as { live?: object } | null | undefined
    const shown = isAlone ? all : all?.live
    if (!shown) return
    this.results++
    const text = JSON.stringify(shown)
    const position = extensions?.cursor ? positionOf(extensions.cursor) : undefined
    if (!position) complain(`${by} got a result without a cursor`)
    else if (position.ord !== END_OF_BATCH) complain(`${by} got a result of a position within a batch`)
    // A changed schema may show the rows of the same position in another way.
    else if (this.#position && comparePositions(position, this.#position) < 0)
      complain(`${by}: the cursor of a result is before that of the one before: ${printDocument(document)}`)
    else claim({ kind: 'result', by, grade: this.sight.grade, document, position, data: shown })
    if (this.#position && text === this.#text)
      complain(`${by} got the same result twice: ${printDocument(document)}`)
    this.#position = position
    this.#text = text
    this.latest = shown
  }

  /** A keep-alive says that the last result of this connection still holds. */
  #hold(cursor: string, transport: string): void {
    const { name, claim } = this.#options
    const position = positionOf(cursor)
    if (!this.#position || !this.latest || comparePositions(position, this.#position) <= 0) return
    claim({
      kind: 'keep-alive',
      grade: this.sight.grade,
      by: `${name} over ${transport}, whose last result is of batch ${this.#position.n},`,
      document: this.document,
      position,
      data: this.latest,
    })
  }
}
