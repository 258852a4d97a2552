import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Identifies a process, and distinguishes it from later ones with the same pid. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it started, in the platform's own form; empty if the platform does not tell (Windows). */
  readonly started: string
}

/** The process with this pid now; undefined if there is none (or a zombie). */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  if (!Number.isSafeInteger(pid) || pid <= 0 || !exists(pid)) return undefined
  if (process.platform === 'win32') return { pid, started: '' }
  if (process.platform === 'linux') {
    try {
      // proc_pid_stat(5): the name in field 2 may hold blanks and brackets, so count from the last bracket.
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (fields[0] === 'Z' || fields[0] === 'X') return undefined
      return { pid, started: `${await bootId()} ${fields[19]}` }
    } catch {
      return undefined
    }
  }
  const started = await ps(pid, 'lstart=')
  return started === '' ? undefined : { pid, started }
}

/** True while the identified process is running. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(identity.pid)
  return now !== undefined && now.started === identity.started
}

/**
 * The command line of a process, arguments separated by blanks; undefined if the process has ended or the platform does not
 * tell.
 */
export async function commandLine(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return text.replaceAll('\0', ' ').trim() || undefined
  }
  return process.platform === 'win32' ? undefined : (await ps(pid, 'command=')) || undefined
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Start times count from boot, so they are comparable only together with an id of the boot. */
function bootId(): Promise<string> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    text => text.trim(),
    () => '',
  )
}

function ps(pid: number, column: string): Promise<string> {
  return promisify(execFile)('ps', ['-o', column, '-p', String(pid)], { encoding: 'utf8' }).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  )
}
