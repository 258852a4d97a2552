import { spawn } from 'node:child_process'
import { chown, open, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { delay } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { Binaries } from './binaries.js'
import { cannotRun, postgresProcess } from './cluster.js'
import type { Layout } from './directory.js'
import { commandLine, identifyProcess, isAlive } from './process-identity.js'

const POLL_MS = 10
const NEVER = new AbortController().signal
const LOG_LIMIT_BYTES = 10 * 1024 * 1024
const FAST_STOP_MS = 10_000
const IMMEDIATE_STOP_MS = 10_000
/** Larger than any pid on Linux, macOS or Windows in practice, and still a number that Postgres can parse. */
const NOBODY_UID = 2_147_483_646

/** The main process of a running Postgres. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
}

interface PidFile extends Postmaster {
  readonly dataDirectory: string
  readonly status: string
}

/**
 * The Postgres that serves this data directory, whichever process started it; waits while it starts or shuts down.
 * Ignores the `postmaster.pid` of a dead one.
 */
export async function findPostmaster(layout: Layout, signal?: AbortSignal): Promise<Postmaster | undefined> {
  for (;;) {
    signal?.throwIfAborted()
    const file = await readPidFile(layout.data)
    if (!file || !(await serves(file, layout.data))) return undefined
    if (file.status === 'ready') return { pid: file.pid, port: file.port }
    await delay(POLL_MS, signal ?? NEVER)
  }
}

/** Result of a start. `retry`: it may succeed later, or with another port. */
export type StartResult =
  | { readonly kind: 'started'; readonly postmaster: Postmaster }
  | { readonly kind: 'retry'; readonly reason: 'port' | 'memory'; readonly error: ListenqlError }

/**
 * Starts Postgres on 127.0.0.1:`port` and waits until it accepts connections (after a crash it replays its log first). It is
 * detached: Ctrl-C in the terminal does not reach it, and it survives the death of this process.
 * @throws ListenqlError EMBEDDED_POSTGRES_FAILED with the cause from its log; the signal's reason (then Postgres is stopped)
 */
export async function startPostmaster(
  layout: Layout,
  binaries: Binaries,
  port: number,
  settings: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<StartResult> {
  await disownPidFile(layout.data)
  const log = await openLog(layout)
  const offset = (await log.stat()).size
  const effective = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    cluster_name: 'listenql',
    logging_collector: 'off',
    ...settings,
  }
  const args = Object.entries(effective).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(binaries.postgres, ['-D', layout.data, ...args], {
    ...postgresProcess(layout.directory, layout.runAs),
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  })
  let ended: unknown
  const exit = new Promise<void>(resolve => {
    child.once('error', error => {
      ended = error
      resolve()
    })
    child.once('exit', (code, by) => {
      ended = by ?? code ?? 'unknown'
      resolve()
    })
  })
  child.unref()
  await log.close()
  while (ended === undefined) {
    const file = await readPidFile(layout.data)
    if (file?.pid === child.pid && file?.status === 'ready') {
      return { kind: 'started', postmaster: { pid: file.pid, port: file.port } }
    }
    if (signal?.aborted) {
      child.kill('SIGINT')
      await exit
      throw signal.reason
    }
    await Promise.race([exit, delay(POLL_MS, signal ?? NEVER)])
  }
  if (ended instanceof Error) throw cannotRun(binaries.postgres, ended)
  const said = (await readFile(layout.log)).subarray(offset).toString('utf8')
  const error = new ListenqlError(
    'EMBEDDED_POSTGRES_FAILED',
    `Postgres did not start: ${causeIn(said, ended)}`,
    {
      hint: `its log is ${layout.log}`,
    },
  )
  if (/could not (bind|create any TCP)/.test(said)) return { kind: 'retry', reason: 'port', error }
  // The children of a killed postmaster need a moment to notice and exit.
  if (said.includes('pre-existing shared memory block')) return { kind: 'retry', reason: 'memory', error }
  throw error
}

/** Fast shutdown: it disconnects clients and writes everything; the process has ended on return. */
export async function stopPostmaster(
  layout: Layout,
  binaries: Binaries,
  postmaster: Postmaster,
): Promise<void> {
  const identity = await identifyProcess(postmaster.pid)
  if (!identity) return
  const gone = async (ms: number) => {
    for (const deadline = Date.now() + ms; Date.now() < deadline; await delay(POLL_MS, NEVER)) {
      if (!(await isAlive(identity))) return true
    }
    return false
  }
  if (process.platform === 'win32') {
    // Windows has no signals: kill would be a crash.
    spawn(binaries.pgCtl, ['stop', '-D', layout.data, '-m', 'fast'], {
      stdio: 'ignore',
      windowsHide: true,
    }).on('error', () => undefined)
  } else signalProcess(postmaster.pid, 'SIGINT')
  if (await gone(FAST_STOP_MS)) return
  signalProcess(postmaster.pid, 'SIGQUIT') // immediate shutdown: the next start replays the log, and no data is lost
  if (await gone(IMMEDIATE_STOP_MS)) return
  throw new ListenqlError('EMBEDDED_POSTGRES_FAILED', `Postgres (process ${postmaster.pid}) does not stop`, {
    hint: `its log is ${layout.log}`,
  })
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** `postmaster.pid`, https://www.postgresql.org/docs/current/storage-file-layout.html; lines as in miscadmin.h (LOCK_FILE_LINE_*). */
async function readPidFile(data: string): Promise<PidFile | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  return { pid, dataDirectory: lines[1] ?? '', port: Number(lines[3]), status: (lines[7] ?? '').trim() }
}

/** Whether the process in the file is a Postgres on this data directory, and not a later process with the same pid. */
async function serves(file: PidFile, data: string): Promise<boolean> {
  if (!(await identifyProcess(file.pid))) return false
  const command = await commandLine(file.pid)
  if (command === undefined) return process.platform === 'win32'
  if (!command.includes('postgres')) return false
  if (command.includes(`-D ${data} `)) return true
  // The folder was moved while Postgres was running: the path in its command line no longer exists.
  const moved = await stat(file.dataDirectory).catch(() => undefined)
  return moved === undefined && command.includes(`-D ${file.dataDirectory} `)
}

/**
 * Postgres refuses to start if the pid in its file belongs to any process of its user, which happens after a reboot or
 * in containers. The file is not deleted: from the rest of it Postgres finds children of a killed postmaster that still
 * use the data.
 */
async function disownPidFile(data: string): Promise<void> {
  const path = join(data, 'postmaster.pid')
  const file = await readPidFile(data)
  if (!file || (await serves(file, data))) return
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.replace(/^\d+/, String(NOBODY_UID)))
}

async function openLog(layout: Layout) {
  const size = await stat(layout.log).then(
    log => log.size,
    () => 0,
  )
  if (size > LOG_LIMIT_BYTES) await rename(layout.log, `${layout.log}.old`)
  const log = await open(layout.log, 'a', 0o600)
  if (layout.runAs) await chown(layout.log, layout.runAs.uid, layout.runAs.gid)
  return log
}

function causeIn(log: string, ended: unknown): string {
  const lines = log.split('\n').filter(line => line.trim() !== '')
  const at = lines.findIndex(line => /\b(FATAL|PANIC|ERROR):/.test(line))
  const cause = at < 0 ? lines.slice(-1) : lines.slice(at, at + 2)
  const text = cause
    .map(line => line.replace(/^.*?\b((FATAL|PANIC|ERROR|DETAIL|HINT|LOG):)/, '$1').trim())
    .join(' ')
  return text.replace(/\s+/g, ' ') || `it ended with ${String(ended)}`
}
