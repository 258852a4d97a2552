import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createClientMemory, type Hold } from '../../../src/lib/limits/client-memory.js'
import { sizeOf } from '../../../src/lib/size-of.js'

const refused = expect.objectContaining({ code: 'LIMIT_EXCEEDED', limit: 'maxClientMemory', max: 1000 })

describe('the memory of all clients', () => {
  it('has room for requests in one half, and for waiting data in the rest', () => {
    let over = 0
    const memory = createClientMemory(1000)
    memory.onOver(() => over++)
    for (const owner of ['a', 'b']) memory.hold(250, owner)
    expect(() => memory.hold(1)).toThrow(refused)
    memory.wait(500)
    expect(over).toBe(0)
    memory.wait(1)
    expect(over).toBe(1)
    memory.wait(-1)
    expect(over).toBe(1)
  })

  it('refuses requests if waiting data takes all the room', () => {
    const memory = createClientMemory(1000)
    memory.wait(900)
    expect(() => memory.hold(101)).toThrow(refused)
    memory.hold(100)
  })

  it('has a share for each owner, which shared data counts towards as well', () => {
    const memory = createClientMemory(1000)
    memory.hold(50, 'a', 200)
    expect(memory.held).toBe(50)
    expect(() => memory.hold(1, 'a')).toThrow(refused)
    expect(() => memory.hold(0, 'a', 1)).toThrow('your address')
    memory.hold(250, 'b')
  })

  it('counts the data of each owner, and is empty once everything has been released', () => {
    const step = fc.record({
      type: fc.constantFrom('hold', 'resize', 'release', 'wait'),
      bytes: fc.nat(300),
      shared: fc.nat(100),
      owner: fc.constantFrom('a', 'b', undefined),
      index: fc.nat(9),
    })
    fc.assert(
      fc.property(fc.array(step), steps => {
        const memory = createClientMemory(1000)
        const holds: { hold: Hold; bytes: number; share: number; owner: string | undefined }[] = []
        let waiting = 0
        const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
        for (const { type, bytes, shared, owner, index } of steps) {
          const one = holds[index]
          try {
            if (type === 'hold') {
              const hold = memory.hold(bytes, owner, shared)
              holds.push({ hold, bytes, share: shared, owner })
            } else if (type === 'resize' && one) {
              one.hold.resize(bytes)
              one.bytes = bytes
            } else if (type === 'release' && one) {
              one.hold.release()
              one.hold.release()
              one.hold.resize(1000)
              holds.splice(index, 1)
            } else if (type === 'wait') {
              memory.wait(bytes - waiting)
              waiting = bytes
            }
          } catch (error) {
            expect(error).toEqual(refused)
          }
          expect(memory.held).toBe(sum(holds.map(each => each.bytes)))
          expect(memory.held).toBeLessThanOrEqual(500)
          for (const name of ['a', 'b']) {
            const own = holds.filter(each => each.owner === name)
            expect(sum(own.map(each => each.bytes + each.share))).toBeLessThanOrEqual(250)
          }
        }
        for (const { hold } of holds) hold.release()
        memory.wait(-waiting)
        expect([memory.held, memory.waiting]).toEqual([0, 0])
        for (const name of ['a', 'b']) memory.hold(250, name).release() // The whole share is free again.
      }),
    )
  })
})

describe('the size of a value', () => {
  it('is no less than that of its text', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        expect(sizeOf(value)).toBeGreaterThanOrEqual(JSON.stringify(value).length / 6) // \\u0000 is one character
      }),
    )
  })

  it('is far larger if the text consists of brackets', () => {
    expect(sizeOf(JSON.parse(`[${Array(1000).fill('{}')}]`))).toBeGreaterThan(50_000)
  })

  it('is computed without recursion', () => {
    expect(sizeOf(JSON.parse('['.repeat(5000) + ']'.repeat(5000)))).toBeGreaterThan(5000)
    let deep: unknown[] = []
    for (let i = 0; i < 1_000_000; i++) deep = [deep]
    expect(sizeOf(deep)).toBeGreaterThan(1_000_000)
  })
})
