import { expect, it } from 'vitest'
import { inOwnMemory } from '../../src/lib/own-memory.js'

it('keeps no pool of buffers alive', () => {
  const pooled = Buffer.from('a small text')
  expect(pooled.buffer.byteLength).toBeGreaterThan(pooled.length)
  const own = inOwnMemory(pooled)
  expect(own.toString()).toBe('a small text')
  expect(own.buffer.byteLength).toBe(own.length)
  expect(inOwnMemory(own)).toBe(own)
  expect(inOwnMemory(Buffer.alloc(0)).length).toBe(0)
})
