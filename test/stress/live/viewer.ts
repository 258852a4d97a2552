import { setTimeout as delay } from 'node:timers/promises'
import { comparePositions, type Position } from '../../../src/log/position.js'
import { positionOf } from '../positions.js'
import type { Random } from '../random.js'
import type { StressServer } from '../servers.js'
import { openStream, type Result, TRANSPORTS } from '../streams.js'
import type { LiveDocument } from './queries.js'

export interface LiveViewerOptions {
  readonly name: string
  readonly document: LiveDocument
  readonly servers: readonly StressServer[]
  readonly random: Random
  /** Receives a description of anything that must not happen. */
  readonly complain: (text: string) => void
}

/** Errors that are expected while servers and databases stop and start. A live query heals itself after everything else. */
const NORMAL_CODES: readonly unknown[] = ['DATABASE_FAILED']

/** A client that shows one live query, and connects again to any server, over any transport, whenever it is cut off. */
export class LiveViewer {
  readonly #options: LiveViewerOptions
  /** The data of the newest result, as text. */
  latest: string | undefined
  results = 0
  connections = 0
  #position: Position | undefined

  constructor(options: LiveViewerOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  get document(): LiveDocument {
    return this.#options.document
  }

  /** Connects again and again until the signal aborts; by itself it leaves rarely. */
  async run(signal: AbortSignal): Promise<void> {
    const { random, servers, document } = this.#options
    while (!signal.aborted) {
      this.#position = undefined
      const transport = random.pick(TRANSPORTS)
      const request = {
        url: random.pick(servers).url,
        query: `subscription { live(every: ${random.pick([0, 50, 300])}) { ${document.text} } }`,
        variables: {},
      }
      let isNew = true
      const stream = openStream(transport, request, {
        result: result => {
          if (isNew) this.connections++
          isNew = false
          this.#take(result, transport)
        },
        position: () => undefined,
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

  #take({ data, errors, extensions }: Result, transport: string): void {
    const { name, complain, document } = this.#options
    const failed = errors?.filter(({ extensions: known }) => !NORMAL_CODES.includes(known?.code))
    if (failed?.length) complain(`${name} over ${transport}: ${JSON.stringify(failed)}`)
    const live = (data as unknown as { live?: object } | null | undefined)?.live
    if (!live) return
    this.results++
    const text = JSON.stringify(live)
    const inconsistency = document.inconsistency?.(live as never)
    if (inconsistency) complain(`${name} over ${transport} got a result of no moment: ${inconsistency}`)
    const position = extensions?.cursor ? positionOf(extensions.cursor) : undefined
    if (!position) complain(`${name} over ${transport} got a result without a cursor`)
    else if (this.#position && comparePositions(position, this.#position) <= 0)
      complain(`${name} over ${transport}: the cursor of a result is not after that of the one before`)
    if (this.#position && text === this.latest)
      complain(`${name} over ${transport} got the same result twice: ${document.text}`)
    this.#position = position
    this.latest = text
  }
}
