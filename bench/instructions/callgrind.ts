import { execFile, spawn } from 'node:child_process'
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { postgresProcess } from '../../src/embedded/cluster.js'
import type { RunAs } from '../../src/embedded/run-as.js'

export interface Programs {
  /** Path of valgrind. */
  readonly valgrind: string
  /** Folder with `postgres` and `initdb`. */
  readonly postgres: string
}

/** The data directory of a Postgres that is not running. Each count works on a copy of it. */
export interface Cluster {
  readonly folder: string
  readonly data: string
  readonly database: string
  readonly runAs: RunAs | undefined
}

/**
 * Runs SQL in single-user mode (https://www.postgresql.org/docs/15/app-postgres.html) under callgrind.
 * @param statements one line each; each is a transaction of its own
 * @param profile file for what `callgrind_annotate` reads. Default: none is kept
 * @returns the number of instructions of the whole process, with its start and end
 * @throws if a statement fails
 */
export async function countInstructions(
  programs: Programs,
  cluster: Cluster,
  statements: readonly string[],
  profile?: string,
): Promise<number> {
  const copy = join(cluster.folder, 'copy')
  await rm(copy, { recursive: true, force: true })
  await promisify(execFile)('cp', ['-a', cluster.data, copy]) // it keeps the owner, as Postgres demands
  const counts = join(copy, 'callgrind.out')
  const said = await new Promise<string>((resolve, reject) => {
    const child = spawn(
      programs.valgrind,
      [
        ...['--tool=callgrind', `--callgrind-out-file=${counts}`],
        ...[join(programs.postgres, 'postgres'), '--single', '-D', copy],
        ...['-c', 'fsync=off', '-c', 'jit=off', '-c', 'shared_buffers=32MB', cluster.database],
      ],
      { ...postgresProcess(cluster.folder, cluster.runAs), stdio: ['pipe', 'ignore', 'pipe'] },
    )
    let text = ''
    child.stderr.setEncoding('utf8').on('data', chunk => {
      text += chunk
    })
    child.on('error', reject)
    child.on('close', code => (code === 0 ? resolve(text) : reject(new Error(`exit code ${code}\n${text}`))))
    child.stdin.on('error', () => undefined) // the exit code says why it has ended early
    child.stdin.end(statements.map(statement => `${statement}\n`).join(''))
  })
  const problem = /(?:ERROR|FATAL|PANIC): .*/.exec(said)?.[0]
  if (problem) throw new Error(`single-user Postgres: ${problem}`)
  const collected = /Collected\s*:\s*(\d+)/.exec(said)?.[1]
  if (collected === undefined) throw new Error(`callgrind printed no sum:\n${said}`)
  if (profile !== undefined) await copyFile(counts, profile)
  return Number(collected)
}
