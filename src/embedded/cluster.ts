import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Binaries } from './binaries.js'
import type { Layout } from './directory.js'
import type { RunAs } from './run-as.js'

const PARTIAL = 'data.partial-'

/** Whether there is a complete data directory. */
export function hasCluster(layout: Layout): Promise<boolean> {
  return stat(layout.data).then(
    () => true,
    () => false,
  )
}

/**
 * Creates the data directory with initdb. It is created under another name and renamed when complete, so that an incomplete one
 * is never used; each attempt has a name of its own, since the initdb of a killed attempt may still be writing.
 * @throws ListenqlError EMBEDDED_POSTGRES_FAILED with the message of initdb; the signal's reason
 */
export async function createCluster(
  layout: Layout,
  binaries: Binaries,
  superuserPassword: string,
  options: { sync: boolean; signal: AbortSignal | undefined },
): Promise<void> {
  await removePartials(layout)
  const partial = join(layout.directory, `${PARTIAL}${randomBytes(4).toString('hex')}`)
  const passwordFile = `${partial}.password`
  try {
    await mkdir(partial, { mode: 0o700 })
    await writeFile(passwordFile, superuserPassword, { mode: 0o600 })
    if (layout.runAs) {
      await chown(partial, layout.runAs.uid, layout.runAs.gid)
      await chown(passwordFile, layout.runAs.uid, layout.runAs.gid)
    }
    const settings = ['-U', 'postgres', '--encoding=UTF8', '--locale=C', '--auth=scram-sha-256']
    await runInitdb(
      binaries.initdb,
      ['-D', partial, `--pwfile=${passwordFile}`, ...settings, ...(options.sync ? [] : ['--no-sync'])],
      layout,
      options.signal,
    )
    await chmod(partial, 0o700)
    await rename(partial, layout.data)
  } finally {
    await removePartials(layout)
  }
}

function runInitdb(
  program: string,
  args: string[],
  layout: Layout,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...postgresProcess(layout.directory, layout.runAs),
      detached: true, // this process handles Ctrl-C in the terminal
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal && { signal }),
    })
    let said = ''
    const hear = (chunk: string) => {
      said = (said + chunk).slice(-10_000)
    }
    child.stdout.setEncoding('utf8').on('data', hear)
    child.stderr.setEncoding('utf8').on('data', hear)
    child.on('error', error => reject(signal?.aborted ? signal.reason : cannotRun(program, error)))
    child.on('close', code => {
      if (code === 0) return resolve()
      const lines = said.split('\n').filter(line => line.trim() !== '')
      const cause = lines.find(line => /(error|fatal):/i.test(line)) ?? lines.at(-1) ?? `exit code ${code}`
      reject(
        new ListenqlError(
          'EMBEDDED_POSTGRES_FAILED',
          `could not create a Postgres in ${layout.directory}: ${cause}`,
          {
            hint: 'install what is missing according to this message, or set DATABASE_URL to a Postgres of your own',
          },
        ),
      )
    })
  })
}

/** Common options of initdb and postgres as child processes: user, folder, and an environment without PG* and locale. */
export function postgresProcess(directory: string, runAs: RunAs | undefined) {
  const env: NodeJS.ProcessEnv = { LC_ALL: 'C' }
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(PG|LC_|LANG)/.test(name)) env[name] = value
  }
  return { cwd: directory, env, windowsHide: true, ...runAs }
}

/** The error for a program of the package that the system cannot start. */
export function cannotRun(program: string, error: unknown): ListenqlError {
  return new ListenqlError('EMBEDDED_POSTGRES_FAILED', `${program} does not run here: ${messageOf(error)}`, {
    hint: 'the binaries need glibc (not musl, as in Alpine); set DATABASE_URL to a Postgres of your own',
    cause: error,
  })
}

async function removePartials(layout: Layout): Promise<void> {
  for (const name of await readdir(layout.directory)) {
    if (!name.startsWith(PARTIAL)) continue
    // The initdb of a killed attempt may still write while this deletes; the next start removes the rest.
    await rm(join(layout.directory, name), { recursive: true, force: true }).catch(() => undefined)
  }
}
