import { closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'

/** Ctrl-C; a process manager; a terminal that is closed; Ctrl-\. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/**
 * Signals within this time of the first are the same request, in ms: npm passes on the SIGINT that the terminal sends to the
 * whole process group, and a shell passes on the SIGHUP of a terminal that is closed.
 */
const SAME_REQUEST_MS = 1000

/** Time between two checks of the parent process, in ms. */
const PARENT_INTERVAL_MS = 500

/** A request to stop. */
export interface StopRequest {
  /** Aborts at the first signal. Its reason is an Error whose message is the name of the signal, or describes the event. */
  readonly signal: AbortSignal
  /** Restores the usual effect of the signals. Idempotent. */
  release(): void
  /**
   * Ends this process by the signal that it received, as shells expect it of a command that was interrupted, so that they stop their
   * loops. Returns only if it received none.
   */
  raise(): void
}

/**
 * Handles the signals that ask a process to end. The first one aborts `signal`; one that arrives a second or more later ends the
 * process at once.
 * @param onHangup called for SIGHUP in place of stopping, also after a request to stop, where this process has no terminal that could be
 * closed. Default: SIGHUP always stops
 * @param watchesParent also stops if npm, npx, pnpm or yarn started this process and has ended
 */
export function listenForStop({
  onHangup,
  watchesParent = false,
}: {
  readonly onHangup?: (() => void) | undefined
  readonly watchesParent?: boolean
} = {}): StopRequest {
  const hangup = onHangup && !hasTerminal() ? onHangup : undefined
  const controller = new AbortController()
  let first: number | undefined
  let came: NodeJS.Signals | undefined
  const stop = (reason: string) => {
    first ??= performance.now()
    controller.abort(new Error(reason))
  }
  const handle = (name: NodeJS.Signals) => {
    if (name === 'SIGHUP' && hangup) return hangup()
    // Shells show a process that a signal has ended as 128 and the number of the signal.
    if (first !== undefined && performance.now() - first >= SAME_REQUEST_MS)
      process.exit(128 + constants.signals[name])
    came ??= name
    stop(name)
  }
  for (const name of STOP_SIGNALS) process.on(name, handle)
  const parent = watchesParent && process.env.npm_lifecycle_event ? watchParent(stop) : undefined
  const release = () => {
    for (const name of STOP_SIGNALS) process.off(name, handle)
    clearInterval(parent)
  }
  return {
    signal: controller.signal,
    release,
    raise() {
      release()
      if (came !== undefined) process.kill(process.pid, came)
    },
  }
}

/** Whether the process has a terminal that controls it, which sends SIGHUP when it is closed. */
function hasTerminal(): boolean {
  if (process.platform === 'win32') return true
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

/**
 * npm runs a command in a shell. SIGTERM to npm ends that shell and not the command, which continues without a parent
 * (https://github.com/npm/cli/issues/5776).
 */
function watchParent(stop: (reason: string) => void): NodeJS.Timeout {
  const before = process.ppid
  return setInterval(() => {
    if (process.ppid !== before) stop('the parent process has ended')
  }, PARENT_INTERVAL_MS).unref()
}
