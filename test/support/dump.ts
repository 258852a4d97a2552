import { execFileSync, spawnSync } from 'node:child_process'

/** Debian's path of PostgreSQL 15. If LISTENQL_PG_DUMP names pg_dump, tests fail instead of being skipped. */
const PG_DUMP = process.env.LISTENQL_PG_DUMP ?? find('/usr/lib/postgresql/15/bin/pg_dump') ?? find('pg_dump')

/**
 * Returns whether pg_dump exists and can dump a server of this version, such as 150004: pg_dump refuses newer servers than
 * itself.
 */
export function canDump(serverVersion: number): boolean {
  if (process.env.LISTENQL_PG_DUMP) return true
  if (!PG_DUMP) return false
  const major = /(\d+)/.exec(execFileSync(PG_DUMP, ['--version'], { encoding: 'utf8' }))?.[1]
  return Number(major) >= Math.floor(serverVersion / 10_000)
}

/** Returns the output of pg_dump as text. @throws Error with its stderr if it fails */
export function dump(url: string, ...options: readonly string[]): string {
  const { status, stdout, stderr } = run(PG_DUMP ?? 'pg_dump', ['--dbname', url, ...options])
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** Runs a script as psql does, statement by statement. @returns the errors, one per line; an error does not stop the script */
export function restore(url: string, script: string): readonly string[] {
  const psql = (PG_DUMP ?? 'pg_dump').replace(/pg_dump$/, 'psql')
  const { stderr } = run(psql, ['--no-psqlrc', '--quiet', '--dbname', url], script)
  return stderr.split('\n').filter(line => /ERROR|FATAL/.test(line))
}

function run(program: string, args: readonly string[], input?: string) {
  const { status, stdout, stderr, error } = spawnSync(program, [...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    ...(input !== undefined && { input }),
  })
  if (error) throw error
  return { status, stdout, stderr }
}

function find(program: string): string | undefined {
  try {
    return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim() || undefined
  } catch {
    return undefined
  }
}
