import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { inject } from 'vitest'
import { QUICK_SETTINGS } from './global-setup.js'

/** A process of its own that holds an embedded Postgres, to be killed without a chance to tidy up. */
export interface EmbeddedProcess {
  readonly pid: number
  /** The next thing it says: what it is busy with, that it started, or that it failed. */
  next(): Promise<EmbeddedMessage>
  /** Skips what comes before Postgres has started. */
  started(): Promise<Extract<EmbeddedMessage, { kind: 'started' }>>
  /** kill -9, awaited. */
  kill(): Promise<void>
  /** Lets it close its Postgres and end. */
  close(): Promise<void>
}

export type EmbeddedMessage =
  | { kind: 'progress'; message: string }
  | { kind: 'started'; port: number; takenOver: boolean }
  | { kind: 'failed'; message: string }

export interface EmbeddedProcesses {
  start(directory: string): EmbeddedProcess
  /** Ends all that still run. */
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

/** Compiles the sources as they are now (not dist/, which may be older) for processes without vitest. */
export async function compileEmbeddedProcesses(): Promise<EmbeddedProcesses> {
  const folder = await mkdtemp(join(inject('postgresRoot'), 'compiled-'))
  for (const name of ['node_modules', 'package.json', 'sql']) await symlink(resolve(name), join(folder, name))
  const tsc = resolve('node_modules', '.bin', 'tsc')
  await new Promise<void>(done => {
    // Files are written even if the types do not check, which is for `tsc --noEmit` to tell.
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
