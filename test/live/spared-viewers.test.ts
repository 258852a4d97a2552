import { expect, it } from 'vitest'
import { ListenqlError } from '../../src/lib/errors.js'
import { createSparedViewers } from '../../src/live/spared-viewers.js'

const forbidden = new ListenqlError('FORBIDDEN', 'no')

it('spares a viewer of a table for some time after an error', () => {
  let now = 0
  const spared = createSparedViewers(() => now)
  spared.note('notes', 'ann', forbidden)
  expect([spared.has('notes', 'ann'), spared.has('notes', 'bob'), spared.has('orders', 'ann')]).toEqual([
    true,
    false,
    false,
  ])
  now = 10_000
  expect(spared.has('notes', 'ann')).toBe(false)
  spared.note('notes', 'ann', forbidden)
  spared.note('notes', 'ann', [true])
  expect(spared.has('notes', 'ann')).toBe(false)
})

it('spares a viewer until its answer has come, and after one that is an error', async () => {
  const spared = createSparedViewers(() => 0)
  for (const [outcome, isSpared] of [
    [async () => [true], false],
    [async () => forbidden, true],
    [() => Promise.reject(new Error('no answer in time')), true],
  ] as const) {
    spared.note('notes', 'ann', outcome())
    expect(spared.has('notes', 'ann')).toBe(true)
    await new Promise(resolve => setImmediate(resolve))
    expect(spared.has('notes', 'ann')).toBe(isSpared)
  }
})
