import { createHash } from 'node:crypto'
import { access, chmod, constants, lstat, mkdir, realpath, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { canReach, chooseRunAs, type RunAs } from './run-as.js'

const FOR_ROOT = '/var/lib/listenql'

/** What lies where in the directory of an embedded Postgres. */
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
 * Settles where the Postgres of `directory` lives. As root it runs as a user with fewer rights; if that user cannot enter
 * the directory (one under /root), the answer is a folder under /var/lib/listenql whose name follows from the path,
 * so that every command that is given the same directory finds the same Postgres.
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

/** What stands at that path, or on the way to it, and is no directory for us: Postgres would be made elsewhere, or within another. */
async function refuseOther(wanted: string): Promise<void> {
  for (let path = wanted; ; path = dirname(path)) {
    const found = await stat(path).catch(() => undefined)
    const isBroken = !found && (await lstat(path).catch(() => undefined))?.isSymbolicLink()
    if (isBroken) throw refusal(`${path} is a symbolic link to what is not there`)
    if (found && !found.isDirectory()) throw refusal(`${path} is a file and no directory`)
    if (found || dirname(path) === path) break
  }
  if (await stat(join(wanted, 'PG_VERSION')).catch(() => undefined)) {
    throw refusal(`${wanted} is the data directory of another Postgres`)
  }
}

function refusal(problem: string): ListenqlError {
  return new ListenqlError(
    'BAD_CONFIGURATION',
    `the Postgres of listenql's own cannot live here: ${problem}`,
    {
      hint: '--data-dir names a directory that listenql makes; for a Postgres that is there already, set DATABASE_URL',
    },
  )
}

/**
 * Makes the directory. It never belongs into version control, so it says so itself.
 * @throws ListenqlError EMBEDDED_POSTGRES_FAILED if it cannot be written to
 */
export async function prepareDirectory(layout: Layout): Promise<Layout> {
  try {
    await mkdir(layout.directory, { recursive: true, mode: 0o755 })
    if (!(await canReach(layout.runAs, layout.directory))) {
      // A strict umask (077) took the rights away that Postgres' user needs to get through.
      if (dirname(layout.directory) === FOR_ROOT) await chmod(FOR_ROOT, 0o755)
      await chmod(layout.directory, 0o755)
    }
    await writeFile(join(layout.directory, '.gitignore'), '*\n')
    await access(layout.directory, constants.W_OK | constants.X_OK)
    // Paths are compared later with what Postgres says of itself, and it resolves symbolic links.
    return layoutOf(await realpath(layout.directory), layout.runAs)
  } catch (error) {
    throw notWritable(layout, error)
  }
}

/** A file of the directory could not be made or changed: no right, a read-only file system, a full disk. */
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
