import { expect, it } from 'vitest'
import { holdInitialState } from '../../../src/delivery/start/held-initial-states.js'
import { createClientMemory } from '../../../src/lib/limits/client-memory.js'
import { START_OVER } from '../../../src/log/position.js'

const stateOf = (bytes: number) => ({ events: [], position: START_OVER, bytes })

it('counts a state once for all subscribers that take it, until the last has it', () => {
  const memory = createClientMemory(10_000)
  const state = stateOf(100)
  const holds = [1, 2].map(() => holdInitialState(memory, state, undefined))
  const { held } = memory
  expect(held).toBeGreaterThanOrEqual(100)
  holds[0]?.release()
  holds[0]?.release()
  expect(memory.held).toBe(held)
  holds[1]?.release()
  expect(memory.held).toBe(0)
})

it('refuses a state for which there is no room, and counts nothing', () => {
  const memory = createClientMemory(10_000)
  expect(() => holdInitialState(memory, stateOf(10_000), '192.0.2.1')).toThrow('memory')
  expect(memory.held).toBe(0)
})
