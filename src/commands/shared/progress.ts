import type { Streams } from './command.js'

/** A line on the terminal that shows how far a command is, and is replaced by whatever is printed next. */
export interface Progress {
  /** @param done how many of the total are done */
  show(done: number): void
  /** Removes the line. Call it before anything else is printed. */
  clear(): void
}

/** Below this number of steps the printed results are progress enough. */
const MIN_STEPS = 10

/** @param what what happens: `watching`. @param noun of one step: `table` */
export function createProgress(
  { stderr }: Pick<Streams, 'stderr'>,
  { total, what, noun }: { readonly total: number; readonly what: string; readonly noun: string },
): Progress {
  const isShown = 'isTTY' in stderr && stderr.isTTY === true && total >= MIN_STEPS
  let isThere = false
  return {
    show(done) {
      if (!isShown) return
      isThere = true
      stderr.write(`\r\x1b[K${what}: ${done} of ${total} ${noun}s`)
    },
    clear() {
      if (!isThere) return
      isThere = false
      stderr.write('\r\x1b[K')
    },
  }
}
