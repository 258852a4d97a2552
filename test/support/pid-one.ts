import { type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { cleanEnvironment, type Running } from './running.js'
import { waitUntil } from './wait.js'

/** A program as PID 1 of a namespace, as an engine for containers runs it: as a uid without a name, without HOME and capabilities, on a read-only file system. */
export interface PidOne extends Running {
  /** The process outside the namespace. */
  readonly pid: number
  /** The states of all processes in the namespace, such as `S` or, for a zombie, `Z`. */
  states(): string[]
  /** Runs a program in the namespace, as `docker exec` does. @returns its exit code */
  exec(argv: readonly string[]): Promise<number | null>
}

/** What an engine for containers takes from an image. */
export interface PidOneOptions {
  /** The root folder of the program. Default: that of this machine */
  readonly root?: string
  /** Default: a uid without a name */
  readonly user?: number
  /** The folder in which the program starts. Default: / */
  readonly workdir?: string
}

/** Whether this process may create namespaces: it is root on Linux, and not in a container that forbids it. */
export const mayUnshare =
  process.getuid?.() === 0 && spawnSync('unshare', ['--fork', '--pid', '--mount', 'true']).status === 0

/** Makes the root of the namespace read-only, with the devices and processes of an own root. */
const READ_ONLY = `mount -o remount,bind,ro /`
const OWN_ROOT = `mount --bind "$0" "$0" && mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && mount -o remount,bind,ro "$0" && exec chroot "$0"`

export async function startPidOne(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
  { root = '/', user = 61234, workdir = '/' }: PidOneOptions = {},
): Promise<PidOne> {
  const options: SpawnOptions = {
    env: { ...cleanEnvironment(), HOME: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
  }
  const asUser = `cd ${workdir} && exec setpriv --reuid=${user} --regid=${user} --clear-groups --no-new-privs --bounding-set=-all "$@"`
  const prepare = root === '/' ? `${READ_ONLY} && exec` : OWN_ROOT
  const child = spawn(
    'unshare',
    [
      ...['--fork', '--pid', '--mount', '--mount-proc', '--kill-child=SIGKILL'],
      ...['sh', '-c', `${prepare} sh -c '${asUser}' sh "$@"`, root, ...argv],
    ],
    options,
  )
  const printed = { out: '', err: '' }
  child.stdout?.on('data', chunk => (printed.out += chunk))
  child.stderr?.on('data', chunk => (printed.err += chunk))
  const end = new Promise<number | NodeJS.Signals | null>(done =>
    child.once('close', (code, signal) => done(code ?? signal)),
  )
  const pid = await waitUntil(() => {
    if (child.exitCode !== null) throw new Error(`unshare ended: ${printed.err}`)
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
    return children === '' ? undefined : Number(children)
  }, 'the process in the namespace')
  const namespaceOf = (process: string | number) => readlinkSync(`/proc/${process}/ns/pid`)
  const namespace = namespaceOf(pid)
  return {
    ...{ child, end, pid, out: () => printed.out, err: () => printed.err },
    states() {
      return readdirSync('/proc')
        .filter(name => /^\d+$/.test(name))
        .flatMap(name => {
          try {
            if (namespaceOf(name) !== namespace) return []
            return [/\) (\w)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1] ?? '?']
          } catch {
            return [] // it has ended
          }
        })
    },
    exec: command =>
      new Promise(done =>
        spawn(
          'nsenter',
          ['-t', String(pid), '-p', '-m', `-r/proc/${pid}/root`, 'sh', '-c', asUser, 'sh', ...command],
          options,
        ).once('close', done),
      ),
  }
}
