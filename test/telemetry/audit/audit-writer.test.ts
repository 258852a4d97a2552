import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { AuditTarget } from '../../../src/telemetry/audit/audit-target.js'
import { type AuditWriterOptions, createAuditWriter } from '../../../src/telemetry/audit/audit-writer.js'
import { waitUntil } from '../../support/wait.js'

/** A file in memory that a test can rename, and whose writes it can hold, cut short and refuse. */
function createFile() {
  const files: string[] = []
  let held: (() => void)[] | undefined
  let failure: string | undefined
  let isRenamed = true
  let most = Number.POSITIVE_INFINITY
  const open = async (): Promise<AuditTarget> => {
    if (failure) throw new Error(failure)
    if (isRenamed) files.push('')
    isRenamed = false
    const at = files.length - 1
    return {
      async write(bytes) {
        if (held) await new Promise<void>(resolve => held?.push(resolve))
        if (failure) throw new Error(failure)
        const written = bytes.subarray(0, most)
        files[at] += String(written)
        return written.length
      },
      close: async () => undefined,
    }
  }
  return {
    open,
    files,
    hold: () => {
      held = []
    },
    go() {
      const waiting = held ?? []
      held = undefined
      for (const resolve of waiting) resolve()
    },
    rename: () => {
      isRenamed = true
    },
    fail: (reason?: string) => {
      failure = reason
    },
    atMost: (bytes: number) => {
      most = bytes
    },
  }
}

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

function createTested(options: Partial<AuditWriterOptions> = {}) {
  const file = createFile()
  const troubles: [lines: number, reason: string][] = []
  const writer = createAuditWriter({
    open: file.open,
    lostLine: lines => `lost ${lines}`,
    onTrouble: (...trouble) => void troubles.push(trouble),
    retry: 1,
    ...options,
  })
  closers.push(() => writer.close())
  return { ...file, writer, troubles, lines: () => file.files.join('').split('\n').slice(0, -1) }
}

describe('the writer of the audit log', () => {
  it('appends lines in order, and those that wait when it is closed', async () => {
    const { writer, lines, troubles } = createTested()
    const all = Array.from({ length: 5000 }, (_, i) => `line ${i}`)
    for (const line of all) writer.append(line)
    await writer.close()
    expect(lines()).toEqual(all)
    expect(troubles).toEqual([])
    writer.append('too late')
    await writer.close()
    expect(lines()).toEqual(all)
  })

  it('does not wait for a slow file: beyond its bound lines are lost, and a line at their place says how many', async () => {
    const { writer, hold, go, lines, troubles } = createTested({ maxBytes: 100 })
    hold()
    for (let i = 0; i < 20; i++) writer.append(`line ${String(i).padStart(4, '0')}`) // 10 bytes each
    expect(lines()).toEqual([])
    go()
    await waitUntil(() => lines().length > 10 || undefined, 'the lines')
    writer.append('later')
    await writer.close()
    const kept = lines().filter(line => line.startsWith('line'))
    const lost = 20 - kept.length
    expect(lost).toBeGreaterThan(5)
    expect(lines()).toEqual([...kept, `lost ${lost}`, 'later'])
    expect(kept).toEqual(Array.from(kept, (_, i) => `line ${String(i).padStart(4, '0')}`))
    expect(troubles.reduce((sum, [count]) => sum + count, 0)).toBe(lost)
  })

  it('tries again where writing fails, and loses nothing that fits into its buffer', async () => {
    const { writer, fail, lines, troubles } = createTested()
    fail('no space left')
    writer.append('a')
    await waitUntil(() => troubles[0], 'the warning')
    writer.append('b')
    fail()
    await writer.close()
    expect(lines()).toEqual(['a', 'b'])
    expect(troubles).toEqual([[0, 'no space left']])
  })

  it('warns once in an interval with the number of lines that were lost since', async () => {
    const { writer, fail, troubles } = createTested({ maxBytes: 10, warnInterval: 50 })
    fail('no space left')
    for (let i = 0; i < 6; i++) writer.append('12345678')
    expect(troubles).toEqual([[1, 'the disk, or the reader of the pipe, does not keep up']])
    await waitUntil(() => troubles[1], 'the second warning')
    expect(troubles[1]?.[0]).toBe(4)
    await writer.close()
    expect(troubles.reduce((sum, [count]) => sum + count, 0)).toBe(6) // with the one that was never written
  })

  it('gives up a file that does not answer when it is closed', async () => {
    const { writer, hold, go, troubles } = createTested({ closeTimeout: 20 })
    hold()
    for (let i = 0; i < 3; i++) writer.append('x'.repeat(60_000))
    const closing = writer.close()
    setTimeout(go, 60)
    await closing
    expect(troubles).toHaveLength(1)
    expect(troubles[0]?.[0]).toBeGreaterThan(0)
  })

  it('opens the file anew between two lines, however few bytes a write takes and wherever it fails', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('reopen', 'fail', 'pass')), {
          maxLength: 30,
        }),
        fc.integer({ min: 1, max: 30 }),
        async (steps, most) => {
          const { writer, files, atMost, fail, rename } = createTested()
          atMost(most)
          const written: string[] = []
          for (const [i, step] of steps.entries()) {
            if (step === 'reopen') {
              rename()
              writer.reopen()
            } else if (step === 'fail') fail('full')
            else if (step === 'pass') fail()
            else {
              const line = `${i} ${JSON.stringify(step)}`
              written.push(line)
              writer.append(line)
            }
            if (i % 5 === 0) await new Promise(setImmediate)
          }
          fail()
          await writer.close()
          // A line whose file was replaced while it was being written is whole in the next one.
          expect(files.flatMap(text => text.split('\n').slice(0, -1))).toEqual(written)
        },
      ),
      { numRuns: 200 },
    )
  })
})
