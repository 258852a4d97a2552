import { execFile, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The throughput of `writers` connections, each of which commits one statement after the other. */
export interface LoadResult {
  readonly commits: number
  readonly perSecond: number
}

export interface LoadOptions {
  readonly url: string
  /** One statement, prepared once per connection; each run of it is a transaction. */
  readonly statement: string
  readonly writers: number
  readonly seconds: number
}

export interface Load {
  readonly name: string
  run(options: LoadOptions): Promise<LoadResult>
}

const run = promisify(execFile)

/** The application_name of the writers' connections. */
export const WRITERS = 'pgbench'

/** pgbench if it is installed, because it uses the least processor time; otherwise two Node processes. */
export async function findLoad(): Promise<Load> {
  const pgbench = await findPgbench()
  return pgbench === undefined ? createNodeLoad() : createPgbenchLoad(pgbench)
}

async function findPgbench(): Promise<string | undefined> {
  const folders = (process.env.PATH ?? '').split(':')
  // Debian's wrapper in the PATH is a Perl script that takes several ms to find the version.
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? (await readdir(debian)).sort((a, b) => Number(b) - Number(a)) : []
  return [...versions.map(version => join(debian, version, 'bin')), ...folders]
    .map(folder => join(folder, 'pgbench'))
    .find(existsSync)
}

function createPgbenchLoad(path: string): Load {
  return {
    name: path,
    async run({ url, statement, writers, seconds }) {
      const folder = await mkdtemp(join(tmpdir(), 'listenql-pgbench-'))
      try {
        const script = join(folder, 'statement.sql')
        await writeFile(script, `${statement};\n`)
        const jobs = String(Math.min(2, writers))
        const options = [
          '-n',
          '-M',
          'prepared',
          '-c',
          String(writers),
          '-j',
          jobs,
          '-T',
          String(seconds),
          '-f',
          script,
        ]
        const { stdout } = await run(path, [...options, url])
        const commits = Number(/actually processed: (\d+)/.exec(stdout)?.[1])
        const perSecond = Number(/^tps = ([\d.]+) \((?:without|excluding)/m.exec(stdout)?.[1])
        const failed = Number(/number of failed transactions: (\d+)/.exec(stdout)?.[1] ?? 0)
        if (!(commits > 0 && perSecond > 0 && failed === 0)) throw new Error(`pgbench said:\n${stdout}`)
        return { commits, perSecond }
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  }
}

function createNodeLoad(): Load {
  return {
    name: 'node (no pgbench found)',
    async run(options) {
      const processes = Math.min(2, options.writers)
      const parts = Array.from({ length: processes }, (_, i) => ({
        ...options,
        writers: Math.floor((options.writers + i) / processes),
      }))
      const results = await Promise.all(parts.map(runChild))
      return {
        commits: results.reduce((sum, result) => sum + result.commits, 0),
        perSecond: results.reduce((sum, result) => sum + result.perSecond, 0),
      }
    },
  }
}

function runChild(options: LoadOptions): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./load-child.ts', import.meta.url)))
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`the load ended with exit code ${code}`)))
    child.once('message', message => resolve(message as LoadResult))
    child.send(options)
  })
}
