import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApolloClient, HttpLink, InMemoryCache } from '@apollo/client/core'
import { createRequest, fetchExchange, Client as UrqlClient } from '@urql/core'
import { EventSourcePolyfill } from 'event-source-polyfill'
import { EventSource as NodeEventSource } from 'eventsource'
import { type GraphQLFormattedError, parse } from 'graphql'
import { createClient as createSseClient } from 'graphql-sse'
import type { Browser } from 'playwright-core'
import { pipe, subscribe as subscribeSource } from 'wonka'
import { type Change, RESUMING_CLIENTS } from './resuming-clients.js'
import { sendSignal } from './send-signal.js'
import { waitUntil } from './wait.js'

/** The subscription of a client: inserts into table `people`. */
export interface Followed {
  /** URL of the server or the proxy, for clients over HTTP. */
  readonly url: string
  /** The same for clients over WebSocket. */
  readonly webSocketUrl: string
  /** A subscription whose one field is `peopleChanged { operation row { pk } }`. */
  readonly query: string
  /** The start position: the cursor of rows that were read. */
  readonly after: string
}

export interface Following {
  /** The events so far: `INSERT 1`, or `! CODE` for an error that is not part of a restart. */
  lines(): Promise<readonly string[]>
  close(): Promise<void>
}

/**
 * A client as in docs/clients.md, except that pauses of a second are shorter. Resolves once no later write can be missed: the
 * server has accepted the subscription, or the client starts at `after`.
 */
export type MatrixClient = (followed: Followed) => Promise<Following>

const PAUSE = 200

interface Result {
  readonly data?: { readonly peopleChanged: Change } | null | undefined
  readonly errors?: readonly GraphQLFormattedError[] | undefined
}

function createNotes() {
  const lines: string[] = []
  return {
    lines: async () => lines,
    take({ data, errors = [] }: Result): void {
      for (const { message, extensions } of errors) lines.push(`! ${extensions?.code ?? message}`)
      if (data) lines.push(`${data.peopleChanged.operation} ${data.peopleChanged.row?.pk}`)
    },
    fail: (code: string) => void lines.push(`! ${code}`),
  }
}

/**
 * Returns the errors of a client that subscribes again after each end, except the error that announces a stop of the server.
 */
const unexpected = (errors: readonly GraphQLFormattedError[] = []) =>
  errors.filter(({ extensions }) => extensions?.code !== 'SERVER_STOPPING')

const cursorOf = (extensions: unknown) => (extensions as { cursor?: string } | undefined)?.cursor

function overWebSocket(name: keyof typeof RESUMING_CLIENTS): MatrixClient {
  return async ({ webSocketUrl, query }) => {
    const notes = createNotes()
    let isAccepted = false
    const ping = (isReceived: boolean) => {
      isAccepted ||= isReceived
    }
    const url = `${webSocketUrl.replace('http', 'ws')}/graphql`
    const client = RESUMING_CLIENTS[name]?.({ url, on: { ping } })
    if (!client) throw new Error(String(name))
    client.follow(query, {
      change: change => notes.take({ data: { peopleChanged: change } }),
      error: notes.fail,
      end: () => notes.fail('ended'),
    })
    await waitUntil(() => isAccepted, `${name} to be accepted`)
    return { lines: notes.lines, close: () => client.close() }
  }
}

const apolloHttp: MatrixClient = async ({ url, query, after }) => {
  const notes = createNotes()
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: new HttpLink({ uri: `${url}/graphql` }),
  })
  let at = after
  let leave = () => {}
  const follow = () => {
    const subscription = client
      .subscribe<{ peopleChanged: Change }>({
        query: parse(query),
        fetchPolicy: 'no-cache',
        extensions: { after: at },
      })
      .subscribe({
        next({ data, error, extensions }) {
          at = cursorOf(extensions) ?? at
          const { errors } = Object(error) as { errors?: readonly GraphQLFormattedError[] }
          notes.take({ data, errors: unexpected(errors) })
        },
        complete() {
          const timer = setTimeout(follow, PAUSE)
          leave = () => clearTimeout(timer)
        },
      })
    leave = () => subscription.unsubscribe()
  }
  follow()
  return {
    lines: notes.lines,
    async close() {
      leave()
      client.stop()
    },
  }
}

const urqlFetch: MatrixClient = async ({ url, query, after }) => {
  const notes = createNotes()
  const client = new UrqlClient({
    url: `${url}/graphql`,
    preferGetMethod: false,
    fetchSubscriptions: true,
    exchanges: [fetchExchange],
  })
  let at = after
  let leave = () => {}
  const follow = () => {
    const request = createRequest<{ peopleChanged: Change }, object>(query, {}, { after: at })
    const { unsubscribe } = pipe(
      client.executeSubscription(request),
      subscribeSource(({ data, error, extensions, hasNext }) => {
        at = cursorOf(extensions) ?? at
        // The client repeats the last data beside an error, and again at the end of the stream.
        if (error) notes.take({ errors: unexpected(error.graphQLErrors) })
        else if (hasNext !== false) notes.take({ data })
        if (hasNext !== false) return
        const timer = setTimeout(follow, PAUSE)
        leave = () => clearTimeout(timer)
      }),
    )
    leave = unsubscribe
  }
  follow()
  return { lines: notes.lines, close: async () => leave() }
}

const graphqlSse: MatrixClient = async ({ url, query, after }) => {
  const notes = createNotes()
  let at = after
  const client = createSseClient({ url: `${url}/graphql`, retryAttempts: Number.POSITIVE_INFINITY })
  client.subscribe<{ peopleChanged: Change }>(
    {
      query,
      get extensions() {
        return { after: at }
      },
    },
    {
      next({ data, errors, extensions }) {
        at = cursorOf(extensions) ?? at
        notes.take({ data, errors })
      },
      error: reason => notes.fail(String(reason)),
      complete: () => notes.fail('ended'),
    },
  )
  return { lines: notes.lines, close: async () => client.dispose() }
}

interface AnyEventSource {
  addEventListener(type: 'open' | 'next', listener: (event: { data: string }) => void): void
  close(): void
}

function eventSource(open: (url: string) => AnyEventSource): MatrixClient {
  return async ({ url, query }) => {
    const notes = createNotes()
    const source = open(`${url}/graphql?query=${encodeURIComponent(query)}`)
    let isOpen = false
    source.addEventListener('open', () => {
      isOpen = true
    })
    source.addEventListener('next', ({ data }) => notes.take(JSON.parse(data)))
    await waitUntil(() => isOpen, 'an EventSource to open')
    return { lines: notes.lines, close: async () => source.close() }
  }
}

const curl: MatrixClient = async ({ url, query }) => {
  const notes = createNotes()
  const folder = await mkdtemp(join(tmpdir(), 'listenql-curl-'))
  const docs = await readFile(join(import.meta.dirname, '../../docs/clients.md'), 'utf8')
  const [, job = ''] = /```sh\n(touch last\n.+?)```/s.exec(docs) ?? []
  const script = job
    .replace('localhost:7700', url)
    .replace(/'query=[^']+'/, `'query=${query}'`)
    .replace('sleep 1', `sleep ${PAUSE / 1000}`)
  // A process group of its own, so that the loop ends with all its child processes.
  const child = spawn('sh', ['-c', script], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) notes.take(JSON.parse(line))
  })
  await waitUntil(async () => {
    if (child.exitCode !== null) throw new Error(`the job of docs/clients.md has ended: ${script}`)
    return (await readFile(join(folder, 'last'), 'utf8').catch(() => '')).trim()
  }, 'the position of curl')
  return {
    lines: notes.lines,
    async close() {
      sendSignal(-(child.pid as number), 'SIGKILL')
      await exit
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The EventSource of Chromium. */
export function browserEventSource(browser: Browser): MatrixClient {
  return async ({ url, query }) => {
    const page = await browser.newPage()
    await page.goto(`${url}/healthz`)
    await page.evaluate(`{
      globalThis.came = []
      globalThis.opened = 0
      const source = new EventSource('graphql?query=' + encodeURIComponent(${JSON.stringify(query)}))
      source.addEventListener('open', () => { opened += 1 })
      source.addEventListener('next', ({ data }) => came.push(JSON.parse(data)))
    }`)
    await page.waitForFunction('opened > 0')
    return {
      async lines() {
        const notes = createNotes()
        for (const result of await page.evaluate<Result[]>('came')) notes.take(result)
        return notes.lines()
      },
      close: () => page.close(),
    }
  }
}

export const MATRIX_CLIENTS: Readonly<Record<string, MatrixClient>> = {
  'listenql/client': overWebSocket('bare graphql-ws'),
  'Apollo Client over WebSocket': overWebSocket('Apollo Client'),
  "Apollo's HttpLink": apolloHttp,
  'urql over WebSocket': overWebSocket('urql'),
  'urql over fetch': urqlFetch,
  'graphql-sse': graphqlSse,
  'event-source-polyfill': eventSource(
    url => new EventSourcePolyfill(url, { headers: { authorization: 'Bearer x' } }),
  ),
  'eventsource of npm': eventSource(url => new NodeEventSource(url) as AnyEventSource),
  curl,
}
