import { WebSocket } from 'ws'
import { createClient } from '../client/index.js'
import { messageOf } from '../lib/errors.js'

export interface TailArguments {
  readonly channels: readonly string[]
  /** URL of the running server, such as http://localhost:7700. */
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

/**
 * Prints the events on channels of a running server until the signal aborts. If the connection is lost, it reconnects, for as long
 * as that takes, and continues after the last published event that it has printed.
 * @returns the exit code: 1 if the server refuses one of the channels
 */
export async function tailCommand(
  argv: TailArguments,
  { stdout, stderr }: TailStreams,
  signal: AbortSignal,
): Promise<number> {
  const several = argv.channels.length > 1
  let said: string | undefined
  /** Prints a line, but not twice in a row: a server may be unreachable for hours. */
  const say = (line: string) => {
    if (line !== said) stderr.write(`-- ${line}\n`)
    said = line
  }
  let cause: string | undefined
  const client = createClient({
    url: `${argv.url.replace(/^http/, 'ws').replace(/\/$/, '')}/graphql`,
    webSocketImpl: WebSocket,
    on: {
      error: event => {
        cause = causeOf(event)
      },
      closed: event => {
        if (!signal.aborted) say(`${describeClose(event, cause)}: ${argv.url}; trying again`)
        cause = undefined
      },
      ping: (received, payload) => {
        if (received && payload?.cursors) say(`listening to ${argv.channels.join(', ')} at ${argv.url}`)
      },
    },
  })
  signal.addEventListener('abort', () => void client.dispose(), { once: true })
  const codes = await Promise.all(argv.channels.map(follow))
  await client.dispose()
  return Math.max(...codes)

  function follow(name: string): Promise<number> {
    return new Promise(resolve => {
      let isRefused = false
      let isExpired = false
      client.subscribe<{ channel: TailEvent }>(
        { query: TAIL, variables: { name } },
        {
          next: ({ data, errors }) => {
            if (data) return print(data.channel)
            for (const { message, extensions } of errors ?? []) {
              stderr.write(`listenql: ${name}: ${message}\n`)
              isExpired ||= String(extensions?.code).startsWith('CURSOR_')
              isRefused = true
            }
          },
          error: error => {
            const messages = Array.isArray(error) ? error.map(messageOf) : [describeClose(error, cause)]
            for (const message of messages) stderr.write(`listenql: ${name}: ${message}\n`)
            resolve(1)
          },
          complete: () => {
            if (signal.aborted) resolve(0)
            else if (isExpired)
              resolve(follow(name)) // from the present; the printed message says that events were missed
            else resolve(isRefused ? 1 : 0)
          },
        },
      )
    })
  }

  function print(event: TailEvent): void {
    if (argv.json) stdout.write(`${JSON.stringify(event)}\n`)
    else if (event.gap)
      stderr.write(
        `-- ${event.channel}: the server lost its database connection, notifications may have been missed\n`,
      )
    else stdout.write(several ? `${event.channel}\t${event.payload}\n` : `${event.payload}\n`)
  }
}

/** Why a connection failed: `ws` reports it in the error before the close, such as `connect ECONNREFUSED 127.0.0.1:7700`. */
function causeOf(event: unknown): string | undefined {
  const { error } = event as { error?: unknown }
  return error === undefined ? undefined : messageOf(error)
}

function describeClose(event: unknown, cause: string | undefined): string {
  if (event instanceof Error) return messageOf(event)
  const { code, reason } = event as { code?: number; reason?: string }
  if (reason) return reason
  return code === 1006
    ? `no server answers${cause === undefined ? '' : ` (${cause})`}`
    : `closed with ${code}`
}
