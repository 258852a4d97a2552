import { execFile } from 'node:child_process'
import { messageOf } from '../../lib/errors.js'
import type { ServerStatus } from '../../server/server-status.js'
import type { Logger } from '../../telemetry/logger.js'

/** Interval of the status text without a watchdog, in ms. */
const STATUS_INTERVAL_MS = 10_000
/** systemd restarts the process after a watchdog interval without a ping; one ping may be late or lost. */
const PINGS_PER_WATCHDOG = 3
/** How long systemd-notify may take: it waits until systemd has read the message. */
const SEND_TIMEOUT_MS = 5000
/** What the program that sends the messages needs. */
const VARIABLES = ['NOTIFY_SOCKET', 'PATH'] as const
/** Not for child processes: Postgres, for one, would send messages of its own. */
const OWN_VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const

export interface ServiceManagerOptions {
  /** The environment of the process. The variables of systemd are removed from it. */
  readonly env: NodeJS.ProcessEnv
  readonly logger: Pick<Logger, 'warn' | 'error'>
}

/** The service manager that started this process. */
export interface ServiceManager {
  /** The server accepts clients. From now on its status is sent, and pings as often as the watchdog needs them. */
  ready(status: () => ServerStatus): void
  /** The server stops. Its status is sent until `close`. */
  stopping(): void
  /** Sends no more. Idempotent. */
  close(): void
}

/**
 * Reports to systemd as a unit of `Type=notify` has to
 * (https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html). Node has no datagram sockets of AF_UNIX, so systemd's own
 * program systemd-notify sends the messages, as a child process: the unit needs `NotifyAccess=all`. That program ends when systemd has
 * read its message, so systemd knows which unit it came from.
 *
 * A ping of the watchdog proves that two loops run: a timer of the event loop sends it, and only if the loop that reads the event log has
 * made a step.
 * @returns undefined if no service manager waits for messages
 */
export function createServiceManager({ env, logger }: ServiceManagerOptions): ServiceManager | undefined {
  if (!env.NOTIFY_SOCKET) return undefined
  const childEnv = Object.fromEntries(VARIABLES.map(name => [name, env[name]]))
  const watchdog = watchdogInterval(env)
  for (const name of OWN_VARIABLES) delete env[name]

  let sending = Promise.resolve()
  let waiting = 0
  let sentText: string | undefined
  let timer: NodeJS.Timeout | undefined
  let status: (() => ServerStatus) | undefined
  let hasFailed = false
  let wasAlive = true

  function send(fields: readonly string[]): void {
    waiting++
    sending = sending.then(() => run(childEnv, fields)).then(onSent, onFailure)
  }
  const onSent = () => {
    waiting--
    hasFailed = false
  }
  function onFailure(error: unknown): void {
    waiting--
    if (!hasFailed)
      logger.warn(
        `systemd gets no messages of this server: ${messageOf(error)}. The unit needs systemd-notify and NotifyAccess=all, or Type=exec without WatchdogSec.`,
      )
    hasFailed = true
  }

  /** The line for `systemctl status`, if it has changed. */
  function statusFields(): string[] {
    const text = status && wordsOf(status())
    if (text === undefined || text === sentText) return []
    sentText = text
    return [`STATUS=${text}`]
  }

  function watchdogPing(): string[] {
    if (watchdog === undefined) return []
    const isAlive = status?.().isAlive ?? true
    if (!isAlive && wasAlive)
      logger.error(
        'The loop that reads the event log is stuck, so systemd gets no ping for its watchdog and restarts this server.',
      )
    wasAlive = isAlive
    return isAlive ? ['WATCHDOG=1'] : []
  }

  function report(): void {
    if (waiting > 0) return
    const fields = [...watchdogPing(), ...statusFields()]
    if (fields.length > 0) send(fields)
  }

  return {
    ready(current) {
      status = current
      send(['READY=1', ...watchdogPing(), ...statusFields()])
      const interval = watchdog === undefined ? STATUS_INTERVAL_MS : watchdog / PINGS_PER_WATCHDOG
      timer = setInterval(report, interval).unref()
    },
    stopping: () => send(['STOPPING=1', ...statusFields()]),
    close: () => clearInterval(timer),
  }
}

/** The watchdog's interval in ms; undefined: there is none for this process. */
function watchdogInterval({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | undefined {
  const ms = Number(WATCHDOG_USEC) / 1000
  const isForOther = WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)
  return ms > 0 && !isForOther ? ms : undefined
}

function run(env: NodeJS.ProcessEnv, fields: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('systemd-notify', [...fields], { env, timeout: SEND_TIMEOUT_MS }, (error, _out, err) => {
      if (error) reject(err === '' ? error : new Error(err.trim()))
      else resolve()
    })
  })
}

function wordsOf({ status, database, notifications, log, connections }: ServerStatus): string {
  const problem =
    database === 'unreachable'
      ? ': the database cannot be reached'
      : notifications
        ? ': notifications are not delivered'
        : log
          ? ': the event log cannot be read further'
          : ''
  return `${status}${problem}; ${connections} ${connections === 1 ? 'connection' : 'connections'}`
}
