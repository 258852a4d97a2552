import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { inject } from 'vitest'
import { QUICK_SETTINGS } from './global-setup.js'

/** A separate process that runs an embedded Postgres and that a test can kill before it cleans up. */
export interface EmbeddedProcess {
  readonly pid: number
  /** Resolves with the next message of the process: its progress, that Postgres has started, or that the start failed. */
  next(): Promise<EmbeddedMessage>
  /** Skips the messages before Postgres has started. */
  started(): Promise<Extract<EmbeddedMessage, { kind: 'started' }>>
  /** Sends SIGKILL, and resolves once the process has ended. */
  kill(): Promise<void>
  /** Makes the process close its Postgres and end. */
  close(): Promise<void>
}

export type EmbeddedMessage =
  | { kind: 'progress'; message: string }
  | { kind: 'started'; port: number; takenOver: boolean }
  | { kind: 'failed'; message: string }

export interface EmbeddedProcesses {
  start(directory: string): EmbeddedProcess
  /** Ends all processes that still run. */
  close(): void
}

const CHILD = `
import { startEmbeddedPostgres } from './src/embedded/index.js'
process.on('disconnect', () => process.exit(1))
try {
  const postgres = await startEmbeddedPostgres({
    directory: process.argv[2],
    settings: ${JSON.stringify(QUICK_SETTINGS)},
    onProgress: message => process.send({ kind: 'progress', message }),
  })
  process.on('message', () => postgres.close().then(() => process.exit(0)))
  process.send({ kind: 'started', port: postgres.port, takenOver: postgres.takenOver })
} catch (error) {
  process.send({ kind: 'failed', message: error.message })
}
`

/** Compiles the current sources (dist/ may be older) for processes without vitest. */
export async function compileEmbeddedProcesses(): Promise<EmbeddedProcesses> {
  const folder = await mkdtemp(join(inject('postgresRoot'), 'compiled-'))
  for (const name of ['node_modules', 'package.json', 'sql']) await symlink(resolve(name), join(folder, name))
  const tsc = resolve('node_modules', '.bin', 'tsc')
  await new Promise<void>(done => {
    // tsc writes the files even if the types do not check; `tsc --noEmit` reports type errors.
    execFile(tsc, ['-p', 'tsconfig.build.json', '--outDir', folder], () => done())
  })
  await access(join(folder, 'src', 'embedded', 'index.js'))
  const script = join(folder, 'child.mjs')
  await writeFile(script, CHILD)
  const children: ChildProcess[] = []

  return {
    start(directory) {
      const child = fork(script, [directory], { execArgv: [] })
      children.push(child)
      const said: EmbeddedMessage[] = []
      let wake = () => {}
      child.on('message', message => {
        said.push(message as EmbeddedMessage)
        wake()
      })
      const exit = once(child, 'exit')
      void exit.then(() => wake())
      const next = async () => {
        while (said.length === 0) {
          if (child.exitCode !== null || child.signalCode !== null) throw new Error('the process is gone')
          await new Promise<void>(resolve => {
            wake = resolve
          })
        }
        return said.shift() as EmbeddedMessage
      }
      return {
        pid: child.pid ?? 0,
        next,
        async started() {
          for (;;) {
            const message = await next()
            if (message.kind === 'started') return message
            if (message.kind === 'failed') throw new Error(message.message)
          }
        },
        async kill() {
          child.kill('SIGKILL')
          await exit
        },
        async close() {
          child.send('close')
          await exit
        },
      }
    },
    close() {
      for (const child of children) child.kill('SIGKILL')
    },
  }
}
