import { setTimeout as delay } from 'node:timers/promises'
import { positionOf } from '../positions.js'
import type { Random } from '../random.js'
import type { StressServer } from '../servers.js'
import { printDocument } from './document.js'
import { randomDocument } from './random-document.js'
import type { Schema } from './schema.js'
import type { Sight } from './sights.js'
import type { Claim } from './verdict.js'

/** Deadline of a request, in ms: one that a server has not answered by then is sent again. */
const PATIENCE = 10_000

/** The data of a query. Undefined: it could not be answered at the moment. @param token of the viewer. Default: none */
export async function ask(
  { url }: StressServer,
  selection: string,
  token?: string,
): Promise<object | undefined> {
  try {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      signal: AbortSignal.timeout(PATIENCE),
      headers: {
        'content-type': 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query: `{ ${selection} }` }),
    })
    const { data } = (await response.json()) as { data?: object | null }
    return data ?? undefined
  } catch {
    return undefined
  }
}

export interface AskingOptions {
  readonly schema: Schema
  readonly servers: readonly StressServer[]
  readonly random: Random
  readonly sights: readonly Sight[]
  /** Receives each answer with its position. */
  readonly claim: (claim: Claim) => void
}

/** Asks fresh queries of random documents, one after the other, until the signal aborts. */
export async function keepAsking(
  { schema, servers, random, sights, claim }: AskingOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await delay(random.int(0, 60), undefined, { signal }).catch(() => undefined)
    const document = randomDocument(schema, random)
    const [root] = document.roots
    if (document.roots.length > 1 || root?.kind !== 'rows') continue // only a list of its own has a cursor
    const sight = random.pick(sights)
    const data = await ask(random.pick(servers), printDocument(document, { hasCursor: true }), sight.token)
    const { cursor } = ((data as Record<string, unknown> | undefined)?.[root.alias] ?? {}) as {
      cursor?: string
    }
    if (data && cursor !== undefined)
      claim({
        kind: 'query',
        by: 'a client',
        grade: sight.grade,
        document,
        position: positionOf(cursor),
        data,
      })
  }
}
