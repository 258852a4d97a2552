import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../../lib/errors.js'
import type { AuditTarget, OpenTarget } from './audit-target.js'

export interface AuditWriterOptions {
  /** An open target for the first lines. Default: `open` is called for them. */
  readonly first?: AuditTarget
  readonly open: OpenTarget
  /** The line that says how many lines are missing before it. */
  readonly lostLine: (lines: number) => string
  /** Called at most once in `warnInterval` while writing fails or lines are lost. @param lines lost since the last call */
  readonly onTrouble: (lines: number, reason: string) => void
  /** Most bytes of lines that wait. Default: 4 MiB. */
  readonly maxBytes?: number
  /** Pause after a failure, in ms. Default: 1 s. */
  readonly retry?: number
  /** In ms. Default: a minute. */
  readonly warnInterval?: number
  /** Longest wait for a slow target in `close`, in ms. Default: 2 s. */
  readonly closeTimeout?: number
}

/** Appends lines to a file without blocking: they wait in memory, within a bound, and lines beyond it are counted as lost. */
export interface AuditWriter {
  /** Never throws and never waits. @param line without its end */
  append(line: string): void
  /** Closes the file after the line that is being written; the next line opens it anew. */
  reopen(): void
  /** Writes what waits, then closes. Idempotent. */
  close(): Promise<void>
}

/** Most bytes that are written at a time. */
const CHUNK_BYTES = 64 * 1024
const BUFFER_FULL = 'the disk, or the reader of the pipe, does not keep up'

export function createAuditWriter({
  first,
  open,
  lostLine,
  onTrouble,
  maxBytes = 4 * 1024 * 1024,
  retry = 1000,
  warnInterval = 60_000,
  closeTimeout = 2000,
}: AuditWriterOptions): AuditWriter {
  let pending: string[] = []
  let bytes = 0
  /** Lines that were lost after the last pending one. */
  let lost = 0
  let unreported = 0
  let trouble: string | undefined
  let warnTimer: NodeJS.Timeout | undefined
  let target = first
  /** The lines that are being written. */
  let current: { readonly chunk: Buffer; offset: number } = { chunk: Buffer.alloc(0), offset: 0 }
  let mustReopen = false
  let running: Promise<void> | undefined
  let closed: Promise<void> | undefined
  const closing = new AbortController()

  function warn(reason: string): void {
    trouble = reason
    if (warnTimer) return
    report()
    warnTimer = setInterval(() => {
      if (trouble !== undefined) return report()
      clearInterval(warnTimer)
      warnTimer = undefined
    }, warnInterval).unref()
  }

  function report(): void {
    onTrouble(unreported, trouble ?? '')
    unreported = 0
    trouble = undefined
  }

  function push(line: string): void {
    pending.push(`${line}\n`)
    bytes += Buffer.byteLength(line) + 1
  }

  function noteLost(): void {
    if (lost === 0) return
    push(lostLine(lost))
    lost = 0
  }

  async function release(): Promise<void> {
    const former = target
    target = undefined
    await former?.close().catch(() => undefined)
  }

  /** Takes the next lines, as one text. */
  function takeChunk(): Buffer {
    let count = 0
    let size = 0
    while (count < pending.length && (count === 0 || size < CHUNK_BYTES))
      size += (pending[count++] as string).length
    return Buffer.from(pending.splice(0, count).join(''))
  }

  const lines = (text: Buffer) => text.toString().split('\n').length - 1

  /** Where the line begins that has the byte at `offset`. */
  const lineStart = (chunk: Buffer, offset: number) =>
    offset === 0 ? 0 : chunk.lastIndexOf('\n', offset - 1) + 1

  async function writeChunk(chunk: Buffer): Promise<void> {
    current = { chunk, offset: 0 }
    while (current.offset < chunk.length) {
      try {
        if (mustReopen) {
          mustReopen = false
          current.offset = lineStart(chunk, current.offset) // the whole line goes to the new file
          await release()
        }
        target ??= await open()
        current.offset += await target.write(chunk.subarray(current.offset))
      } catch (error) {
        warn(messageOf(error))
        if (closing.signal.aborted) throw error
        await release()
        await delay(retry, undefined, { ref: false, signal: closing.signal }).catch(() => undefined)
      }
    }
    bytes -= chunk.length
  }

  async function run(): Promise<void> {
    while (pending.length > 0 || lost > 0) {
      if (pending.length === 0) noteLost()
      await writeChunk(takeChunk())
    }
  }

  function start(): void {
    running ??= run()
      .catch(() => undefined)
      .finally(() => {
        running = undefined
        if (!closed && pending.length > 0) start()
      })
  }

  async function finish(): Promise<void> {
    const timer = new AbortController()
    await Promise.race([
      running,
      delay(closeTimeout, undefined, { signal: timer.signal }).catch(() => undefined),
    ])
    closing.abort() // a target that fails gets no further attempt
    timer.abort()
    unreported += pending.length + lines(current.chunk.subarray(lineStart(current.chunk, current.offset)))
    pending = []
    clearInterval(warnTimer)
    if (unreported > 0) onTrouble(unreported, trouble ?? BUFFER_FULL)
    await Promise.race([running, release()])
  }

  return {
    append(line) {
      if (closed) return
      if (bytes + line.length > maxBytes) {
        lost++
        unreported++
        return warn(BUFFER_FULL)
      }
      noteLost()
      push(line)
      start()
    },
    reopen() {
      if (running) mustReopen = true
      else void release()
    },
    close() {
      closed ??= finish()
      return closed
    },
  }
}
