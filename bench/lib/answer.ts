import type { Answer, Call, Methods } from './child.js'

/** Answers the calls of the parent process until the parent ends. */
export function answer(methods: Methods): void {
  process.on('disconnect', () => process.exit())
  process.on('SIGINT', () => undefined) // the parent receives it too, and ends this process when it is done
  process.on('message', async ({ id, method, argument }: Call) => {
    let reply: Answer
    try {
      reply = { id, result: await methods[method]?.(argument as never) }
    } catch (error) {
      reply = { id, error: error instanceof Error ? error.message : String(error) }
    }
    if (process.connected) process.send?.(reply)
  })
}
