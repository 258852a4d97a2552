import { createHash } from 'node:crypto'
import { access, chmod, constants, lstat, mkdir, realpath, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { canReach, chooseRunAs, type RunAs } from './run-as.js'

const FOR_ROOT = '/var/lib/listenql'

/** The paths in the directory of an embedded Postgres. */
export interface Layout {
  readonly directory: string
  readonly data: string
  readonly log: string
  readonly credentials: string
  readonly lock: string
  readonly users: string
  readonly runAs: RunAs | undefined
}

/** `.listenql` in the current working directory, absolute. */
export function defaultDirectory(): string {
  return resolve('.listenql')
}

/**
 * Chooses the paths of the Postgres of `directory`. As root it runs as a user with fewer rights; if that user cannot enter
 * the directory (one under /root), the result is a folder under /var/lib/listenql whose name is derived from the path,
 * so that every command with the same directory finds the same Postgres.
 * @throws ListenqlError BAD_CONFIGURATION if it is no directory, or one of another Postgres
 */
export async function findLayout(directory: string): Promise<Layout> {
  const wanted = resolve(directory)
  await refuseOther(wanted)
  let runAs = await chooseRunAs(join(wanted, 'data'))
  if (await canReach(runAs, wanted)) return layoutOf(await realpath(wanted).catch(() => wanted), runAs)
  const hash = createHash('sha256').update(wanted).digest('hex').slice(0, 10)
  const instead = join(FOR_ROOT, `${basename(dirname(wanted)) || 'root'}-${hash}`)
  runAs = await chooseRunAs(join(instead, 'data'))
  return layoutOf(instead, runAs)
}

/**
 * Refuses a path that is, or leads through, something other than a directory: Postgres would be created elsewhere, or in
 * another one.
 */
async function refuseOther(wanted: string): Promise<void> {
  for (let path = wanted; ; path = dirname(path)) {
    const found = await stat(path).catch(() => undefined)
    const isBroken = !found && (await lstat(path).catch(() => undefined))?.isSymbolicLink()
    if (isBroken) throw refusal(`${path} is a symbolic link to a path that does not exist`)
    if (found && !found.isDirectory()) throw refusal(`${path} is a file and not a directory`)
    if (found || dirname(path) === path) break
  }
  if (await stat(join(wanted, 'PG_VERSION')).catch(() => undefined)) {
    throw refusal(`${wanted} is the data directory of another Postgres`)
  }
}

function refusal(problem: string): ListenqlError {
  return new ListenqlError(
    'BAD_CONFIGURATION',
    `the embedded Postgres cannot use this directory: ${problem}`,
    {
      hint: '--data-dir names a directory that listenql creates; to use an existing Postgres, set DATABASE_URL',
    },
  )
}

/**
 * Creates the directory, with a .gitignore that keeps it out of version control.
 * @throws ListenqlError EMBEDDED_POSTGRES_FAILED if it is not writable
 */
export async function prepareDirectory(layout: Layout): Promise<Layout> {
  try {
    await mkdir(layout.directory, { recursive: true, mode: 0o755 })
    if (!(await canReach(layout.runAs, layout.directory))) {
      // A strict umask (077) has removed the rights that Postgres's user needs to enter.
      if (dirname(layout.directory) === FOR_ROOT) await chmod(FOR_ROOT, 0o755)
      await chmod(layout.directory, 0o755)
    }
    await writeFile(join(layout.directory, '.gitignore'), '*\n')
    await access(layout.directory, constants.W_OK | constants.X_OK)
    // Paths are compared later with those that Postgres reports, in which symbolic links are resolved.
    return layoutOf(await realpath(layout.directory), layout.runAs)
  } catch (error) {
    throw notWritable(layout, error)
  }
}

/** The error for a file of the directory that could not be created or changed: no right, a read-only file system, a full disk. */
export function notWritable({ directory }: Layout, error: unknown): ListenqlError {
  return new ListenqlError('EMBEDDED_POSTGRES_FAILED', `cannot write to ${directory}: ${messageOf(error)}`, {
    hint: 'start listenql in a folder that you may write to, as the user who started it first, or set DATABASE_URL to a Postgres of your own',
    cause: error,
  })
}

function layoutOf(directory: string, runAs: RunAs | undefined): Layout {
  return {
    directory,
    data: join(directory, 'data'),
    log: join(directory, 'postgres.log'),
    credentials: join(directory, 'credentials.json'),
    lock: join(directory, 'lock'),
    users: join(directory, 'users'),
    runAs,
  }
}
