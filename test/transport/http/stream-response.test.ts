import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ANONYMOUS } from '../../../src/auth/viewer.js'
import { createClientErrors } from '../../../src/graphql/errors.js'
import type { Operation } from '../../../src/graphql/operation.js'
import { createDeferred, type Deferred } from '../../../src/lib/deferred.js'
import { ListenqlError } from '../../../src/lib/errors.js'
import { LimitExceeded } from '../../../src/lib/limits/limit-exceeded.js'
import type { Position } from '../../../src/log/position.js'
import type { Connections, OpenOptions } from '../../../src/transport/connections.js'
import { multipart } from '../../../src/transport/http/multipart.js'
import type { StreamFormat } from '../../../src/transport/http/response-sink.js'
import { sse } from '../../../src/transport/http/sse.js'
import { createStreamResponses } from '../../../src/transport/http/stream-response.js'

let server: Server
beforeEach(async () => {
  server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

interface Options {
  readonly operation: unknown
  readonly format?: StreamFormat
  /** Subscribing waits for this promise. Default: no wait. */
  readonly subscribed?: Deferred
  /** The refusal of the connection, if there is no room for it. */
  readonly refusal?: LimitExceeded
  /** The error with which subscribing fails. */
  readonly failure?: ListenqlError
  readonly position?: () => Position | undefined
}

/** Sends the operation over connections that record what happens to them. */
async function ask({
  operation,
  format = sse,
  subscribed,
  refusal,
  failure,
  position = () => undefined,
}: Options) {
  const steps: string[] = []
  const controls: string[] = []
  let opened: OpenOptions | undefined
  const connections = {
    open(options: OpenOptions) {
      opened = options
      return {
        outbound: { control: (text: string) => controls.push(text), giveBack: () => undefined },
        serve() {
          if (refusal) throw refusal
        },
        async subscribe(_request: unknown, { signal }: { signal: AbortSignal }) {
          signal.addEventListener('abort', () => steps.push('given up'))
          await subscribed?.promise
          if (failure) throw failure
          steps.push('subscribed')
          return { position, leave: () => undefined }
        },
        close: () => steps.push('closed'),
      }
    },
  } as unknown as Connections
  const streams = createStreamResponses({
    connections,
    cursors: { encode: ({ id }) => `cursor${id}` },
    toClientError: createClientErrors(() => undefined),
    keepAlive: 5,
    stallTimeout: 1000,
  })
  const asked = once(server, 'request')
  const client = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false })
  client.on('error', () => undefined)
  const answered = once(client, 'response').then(([answer]) => answer as IncomingMessage)
  answered.catch(() => undefined)
  const [request, response] = (await asked) as [IncomingMessage, ServerResponse]
  const responded = streams.respond({
    request,
    response,
    operation: operation as Operation,
    format,
    viewer: ANONYMOUS,
    isResuming: false,
    held: { resize: () => undefined, release: () => undefined } as never,
  })
  return {
    client,
    steps,
    controls,
    answered,
    responded,
    opened: () => opened as OpenOptions,
    endViewer: (reason: ListenqlError) => opened?.peer.endViewer(reason),
  }
}

const subscription = { kind: 'subscription', subscribe: async () => ({ request: {}, after: undefined }) }
const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })

describe('an operation other than a subscription', () => {
  it('is answered by a stream of one result that ends after it', async () => {
    const operation = { kind: 'query', run: async () => ({ data: { a: 1 } }) }
    const { answered } = await ask({ operation })
    const answer = await answered
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, sse.headers['content-type']])
    expect(await readText(answer)).toBe(sse.opening + sse.last('{"data":{"a":1}}', false))
  })

  it('is answered by a stream with its error, if it fails', async () => {
    const operation = { kind: 'query', run: () => Promise.reject(new ListenqlError('FORBIDDEN', 'no')) }
    const { answered } = await ask({ operation })
    expect(await readText(await answered)).toContain('"code":"FORBIDDEN"')
  })
})

describe('a subscription', () => {
  it('is accepted once no event can be missed, and the answer contains its start position', async () => {
    const subscribed = createDeferred()
    const { answered, steps, responded } = await ask({
      operation: subscription,
      subscribed,
      position: () => at(7),
    })
    void answered.then(() => steps.push('accepted'))
    subscribed.resolve()
    await responded
    const [opening] = await once(await answered, 'data')
    expect(String(opening)).toBe(sse.opening + sse.keepAlive('cursor7'))
    expect(steps).toEqual(['subscribed', 'accepted'])
  })

  it('is kept alive with its current position', async () => {
    let id = 1
    const { controls, responded } = await ask({ operation: subscription, position: () => at(id) })
    await responded
    id = 2
    await vi.waitFor(() => expect(controls).toContain(sse.keepAlive('cursor2')))
  })

  it('is answered by a stream with the error, if it is refused', async () => {
    const failure = new ListenqlError('CURSOR_EXPIRED', 'gone')
    const asked = await ask({ operation: subscription, failure })
    const answer = await asked.answered
    expect([answer.statusCode, await readText(answer)]).toEqual([
      200,
      expect.stringContaining('"code":"CURSOR_EXPIRED"'),
    ])
    expect(asked.steps).toContain('closed')
  })

  it('is refused with a status if there is no room for the connection', async () => {
    const refusal = new LimitExceeded('maxConnections', 1, 'too many')
    const { answered, steps } = await ask({ operation: subscription, refusal })
    const answer = await answered
    expect([answer.statusCode, answer.headers.connection]).toEqual([503, 'close'])
    expect(steps).toEqual(['closed'])
  })

  it('is cancelled when its client disconnects, also while it is being opened', async () => {
    const subscribed = createDeferred()
    const asked = await ask({ operation: subscription, subscribed })
    await vi.waitFor(() => expect(asked.opened()).toBeDefined())
    asked.client.destroy()
    await vi.waitFor(() => expect(asked.steps).toEqual(['closed', 'given up']))
    subscribed.resolve()
    await asked.responded
    expect(asked.controls).toEqual([])
  })
})

describe('when the server stops,', () => {
  it.each([true, false])(
    'the stream of an EventSource is cut, so that it reconnects; accepted: %s',
    async isAccepted => {
      const subscribed = createDeferred()
      if (isAccepted) subscribed.resolve()
      const { answered, opened, responded } = await ask({ operation: subscription, subscribed })
      if (isAccepted) await responded
      await vi.waitFor(() => expect(opened()).toBeDefined())
      opened().peer.end()
      const answer = await answered
      expect(answer.statusCode).toBe(200)
      await expect(readText(answer)).rejects.toThrow('aborted')
    },
  )

  it('a multipart client that was not accepted yet gets 503 and Retry-After', async () => {
    const subscribed = createDeferred()
    const { answered, opened } = await ask({ operation: subscription, subscribed, format: multipart })
    await vi.waitFor(() => expect(opened()).toBeDefined())
    opened().peer.end()
    const answer = await answered
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '1'])
  })
})

describe('when the session of the viewer expires,', () => {
  const expired = new ListenqlError('UNAUTHENTICATED', 'expired')

  it('a stream ends with the error', async () => {
    const { answered, responded, endViewer } = await ask({ operation: subscription })
    await responded
    endViewer(expired)
    expect(await readText(await answered)).toContain('"code":"UNAUTHENTICATED"')
  })

  it('a client that was not accepted yet gets 401', async () => {
    const subscribed = createDeferred()
    const { answered, opened, endViewer } = await ask({ operation: subscription, subscribed })
    await vi.waitFor(() => expect(opened()).toBeDefined())
    endViewer(expired)
    expect((await answered).statusCode).toBe(401)
  })
})
