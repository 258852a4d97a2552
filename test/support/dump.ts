import { execFileSync, spawnSync } from 'node:child_process'

/** Where Debian has PostgreSQL 15; LISTENQL_PG_DUMP names pg_dump, so that tests fail rather than skip. */
const PG_DUMP = process.env.LISTENQL_PG_DUMP ?? find('/usr/lib/postgresql/15/bin/pg_dump') ?? find('pg_dump')

/** Whether pg_dump is there and can dump a server of this version, such as 150004: it refuses newer ones than itself. */
export function canDump(serverVersion: number): boolean {
  if (process.env.LISTENQL_PG_DUMP) return true
  if (!PG_DUMP) return false
  const major = /(\d+)/.exec(execFileSync(PG_DUMP, ['--version'], { encoding: 'utf8' }))?.[1]
  return Number(major) >= Math.floor(serverVersion / 10_000)
}

/** What pg_dump prints, as text. @throws Error with what it says to stderr if it fails */
export function dump(url: string, ...options: readonly string[]): string {
  const { status, stdout, stderr } = run(PG_DUMP ?? 'pg_dump', ['--dbname', url, ...options])
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** Runs a script as psql does, statement by statement. @returns the errors, a line each; they stop nothing */
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
