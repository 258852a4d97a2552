import { createClient } from 'graphql-ws'
import { WebSocket } from 'ws'
import { messageOf } from '../lib/errors.js'

export interface TailArguments {
  readonly channels: readonly string[]
  /** Of the running server, such as http://localhost:7700. */
  readonly url: string
  /** Print whole events as JSON, one a line. */
  readonly json: boolean
}

export interface TailStreams {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
}

const TAIL = /* GraphQL */ `
  subscription Tail($name: String!) {
    channel(name: $name) {
      channel
      payload
      cursor
      gap
      at
    }
  }
`

interface TailEvent {
  readonly channel: string
  readonly payload: string | null
  readonly gap: boolean
}

/** Prints what arrives on channels of a running server until it is interrupted; comes back by itself when the server does. */
export async function tailCommand(
  argv: TailArguments,
  { stdout, stderr }: TailStreams,
  signal?: AbortSignal,
): Promise<number> {
  const several = argv.channels.length > 1
  const client = createClient({
    url: `${argv.url.replace(/^http/, 'ws').replace(/\/$/, '')}/graphql`,
    webSocketImpl: WebSocket,
    lazy: true,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    on: {
      closed: event => {
        if (!signal?.aborted) stderr.write(`-- ${describeClose(event)} at ${argv.url}; trying again\n`)
      },
      ping: (received, payload) => {
        const cursors = received ? (payload?.cursors as Record<string, unknown> | undefined) : undefined
        if (cursors) stderr.write(`-- listening to ${argv.channels.join(', ')} at ${argv.url}\n`)
      },
    },
  })
  signal?.addEventListener('abort', () => void client.dispose(), { once: true })
  const codes = await Promise.all(
    argv.channels.map(
      name =>
        new Promise<number>(resolve => {
          client.subscribe<{ channel: TailEvent }>(
            { query: TAIL, variables: { name } },
            {
              next: ({ data, errors }) => {
                if (errors) {
                  for (const { message } of errors) stderr.write(`listenql: ${message}\n`)
                  resolve(1)
                } else if (data) {
                  print(data.channel)
                }
              },
              error: error => {
                stderr.write(
                  `listenql: ${Array.isArray(error) ? error.map(messageOf).join('; ') : messageOf(error)}\n`,
                )
                resolve(1)
              },
              complete: () => resolve(0),
            },
          )
        }),
    ),
  )
  await client.dispose()
  return Math.max(...codes)

  function print(event: TailEvent): void {
    if (argv.json) stdout.write(`${JSON.stringify(event)}\n`)
    else if (event.gap)
      stderr.write(`-- ${event.channel}: the database was away, notifications may have been missed\n`)
    else stdout.write(several ? `${event.channel}\t${event.payload}\n` : `${event.payload}\n`)
  }
}

function describeClose(event: unknown): string {
  const { code, reason } = event as { code?: number; reason?: string }
  return reason || (code === 1006 ? 'no server answers' : `the connection was closed (${code})`)
}
