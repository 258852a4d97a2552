import { createServer, type ListenqlServer, type ServerOptions } from '../../src/index.js'
import { overGraphqlWs, type Start, type TestSubscription } from './clients.js'
import { codeOf, dataOf, query } from './graphql-request.js'
import type { TestLog } from './log.js'
import { waitUntil } from './wait.js'

/** A server on a test's database that checks the catalogue often, and helpers for tests of watched tables. */
export interface Live {
  readonly server: ListenqlServer
  subscribe(
    document: string,
    start?: Start & { variables?: Record<string, unknown> },
  ): Promise<TestSubscription>
  /** Resolves once a query of this text is valid and returns data. */
  ready(text: string): Promise<Record<string, unknown>>
  /** Returns the cursor of a snapshot. */
  cursor(field: string): Promise<string>
  /** Returns the code with which a subscription from a cursor is refused. */
  refusal(document: string, after: string): Promise<string | undefined>
  close(): Promise<void>
}

export async function createLive(log: TestLog, options: ServerOptions = {}): Promise<Live> {
  const server = await createServer({
    databaseUrl: log.database.url,
    host: 'localhost',
    port: 0,
    logLevel: 'silent',
    catalogInterval: 50,
    ...options,
  })
  return {
    server,
    subscribe: (document, { variables, ...start } = {}) =>
      overGraphqlWs(server.url, document, variables ?? {}, start),
    async ready(text) {
      return waitUntil(() => query(server.url, text).catch(() => undefined), `${text} to be answered`)
    },
    async cursor(field) {
      return ((await query(server.url, `{ ${field}(limit: 1) { cursor } }`))[field] as { cursor: string })
        .cursor
    },
    async refusal(document, after) {
      const subscription = await overGraphqlWs(server.url, document, {}, { after })
      const first = await subscription.results.next('a refusal')
      await subscription.close()
      return codeOf(first)
    },
    close: () => server.close(),
  }
}

/** Returns the code with which a stream ends. Rejects if a change arrives first. */
export async function endOf(subscription: TestSubscription): Promise<string | undefined> {
  const result = await subscription.results.next('the end')
  const code = codeOf(result)
  if (code === undefined) throw new Error(`not the end: ${JSON.stringify(result)}`)
  return code
}

/** Returns the next change, which is the only field of its result. */
export async function nextChange(subscription: TestSubscription): Promise<Record<string, unknown>> {
  return Object.values(dataOf(await subscription.results.next('a change')))[0] as Record<string, unknown>
}
