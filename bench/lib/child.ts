import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export type Methods = Record<string, (argument: never) => unknown>

/** A process of the benchmark that answers calls. */
export interface Child<M extends Methods> {
  readonly pid: number | undefined
  /** @throws what the method throws, or an error if the process has ended or does not answer in time */
  call<K extends keyof M & string>(
    method: K,
    argument: Parameters<M[K]>[0],
    options?: { timeout?: number },
  ): Promise<Awaited<ReturnType<M[K]>>>
  /** Idempotent. Does not wait for a process that is too busy to answer. */
  close(): Promise<void>
}

export type Answer = { readonly id: number; readonly result?: unknown; readonly error?: string }
export type Call = { readonly id: number; readonly method: string; readonly argument: unknown }

const running = new Set<ChildProcess>()
// A process in a busy loop never notices that its parent has ended.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * Starts a module of this folder.
 * @param options.exec options of Node
 * @param options.node the program. Default: the Node of this process
 * @param options.timeout longest wait for an answer, in ms
 */
export function startChild<M extends Methods>(
  module: string,
  args: readonly string[] = [],
  {
    exec = [],
    node = process.execPath,
    timeout = 60_000,
  }: { exec?: readonly string[]; node?: string; timeout?: number } = {},
): Child<M> {
  const child = fork(fileURLToPath(new URL(module, import.meta.url)), args, {
    execPath: node,
    execArgv: [...process.execArgv, ...exec],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  running.add(child)
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let next = 0
  let ended: Error | undefined
  child.on('message', (message: Answer) => {
    const call = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error === undefined) call?.resolve(message.result)
    else call?.reject(new Error(message.error))
  })
  const gone = new Promise<void>(resolve => {
    const end = (why: string) => {
      ended = new Error(`${module} ${why}`)
      running.delete(child)
      for (const { reject } of waiting.values()) reject(ended)
      waiting.clear()
      resolve()
    }
    child.once('error', error => end(`failed: ${error.message}`))
    child.once('exit', (code, signal) => end(`ended with ${signal ?? code}`))
  })
  return {
    pid: child.pid,
    call(method, argument, options) {
      if (ended) return Promise.reject(ended)
      const id = next++
      return new Promise((resolve, reject) => {
        const ms = options?.timeout ?? timeout
        const timer = setTimeout(() => {
          waiting.delete(id)
          reject(new Error(`no answer to ${method} within ${ms / 1000} s`))
        }, ms)
        const settle =
          <T>(then: (value: T) => void) =>
          (value: T) => {
            clearTimeout(timer)
            then(value)
          }
        waiting.set(id, { resolve: settle(resolve as (value: unknown) => void), reject: settle(reject) })
        child.send({ id, method, argument } satisfies Call, error => error && waiting.get(id)?.reject(error))
      })
    },
    async close() {
      child.kill('SIGKILL') // it holds nothing worth waiting for
      await gone
    },
  }
}
