import { delay } from '../../lib/abort.js'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import type { StatusBody } from '../../server/inspection/status-body.js'
import { type ScreenSize, screenOf } from './screen.js'

export interface TopArguments {
  /** URL of the server or of its metrics port, such as http://localhost:7700. */
  readonly url: string
  /** Time between two screens, in ms. */
  readonly interval: number
  /** Print one screen, and end. */
  readonly once: boolean
}

export interface TopStreams {
  readonly stdout: NodeJS.WritableStream & {
    readonly isTTY?: boolean
    readonly columns?: number
    readonly rows?: number
  }
}

/** Longest wait for an answer, in ms. */
const PATIENCE_MS = 5000

const HOME_AND_CLEAR = '\u001b[H\u001b[J'

/**
 * Shows the state of a running server until the signal aborts. Without a terminal it prints one screen.
 * @throws ListenqlError BAD_CONFIGURATION if what answers is no server, or shows no status
 */
export async function topCommand(
  { url, interval, once }: TopArguments,
  { stdout }: TopStreams,
  signal: AbortSignal,
): Promise<number> {
  const isLive = stdout.isTTY === true && !once
  const size = (): ScreenSize =>
    isLive ? { columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 } : { columns: 200, rows: 200 }
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    let lines: readonly string[]
    try {
      lines = screenOf(await readStatus(url, signal), url, size())
    } catch (error) {
      if (signal.aborted) break
      if (isFirst || !isLive) throw error
      lines = [`${messageOf(error)}; trying again`] // the server may be restarting
    }
    if (!isLive) {
      stdout.write(`${lines.join('\n')}\n`)
      return 0
    }
    stdout.write(`${HOME_AND_CLEAR}${lines.join('\n')}`)
    await delay(interval, signal)
  }
  if (isLive) stdout.write('\n')
  return 0
}

/** @throws ListenqlError BAD_CONFIGURATION */
async function readStatus(url: string, signal: AbortSignal): Promise<StatusBody> {
  const refuse = (message: string, hint: string, cause?: unknown) =>
    new ListenqlError('BAD_CONFIGURATION', message, { hint, cause })
  let response: Response
  try {
    response = await fetch(`${url.replace(/\/$/, '')}/status`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
    })
  } catch (error) {
    throw refuse(`no server answers at ${url}`, 'start one, or name another with --url', error)
  }
  const text = await response.text()
  if (response.status === 404 || !text.startsWith('{'))
    throw refuse(
      `${url} shows no status`,
      'a server that is bound to the network shows it on the port of --metrics-port: --url http://localhost:PORT',
    )
  return JSON.parse(text) as StatusBody
}
