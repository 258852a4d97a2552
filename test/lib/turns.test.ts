import { describe, expect, it } from 'vitest'
import { createDeferred } from '../../src/lib/deferred.js'
import { createTurns } from '../../src/lib/turns.js'

const scheduler = () => new Promise(resolve => setImmediate(resolve))

function createScene(limit: number, slowLimit: number) {
  const turns = createTurns({ limit, slowLimit })
  const started: string[] = []
  const running = new Map<string, () => void>()
  return {
    started,
    add(owner: string, name: string, isSlow = false) {
      const done = createDeferred()
      return turns.run(owner, isSlow, async () => {
        started.push(name)
        running.set(name, done.resolve)
        await done.promise
      })
    },
    async finish(name: string) {
      running.get(name)?.()
      await scheduler()
    },
  }
}

describe('turns', () => {
  it('rotate between owners', async () => {
    const { add, started, finish } = createScene(1, 1)
    for (const name of ['a1', 'a2', 'a3']) void add('a', name)
    for (const name of ['b1', 'b2']) void add('b', name)
    await scheduler()
    for (const name of ['a1', 'a2', 'b1', 'a3']) await finish(name)
    expect(started).toEqual(['a1', 'a2', 'b1', 'a3', 'b2'])
  })

  it('leave a place for quick work, and alternate if there is only one place', async () => {
    const many = createScene(3, 2)
    for (const name of ['s1', 's2', 's3']) void many.add('a', name, true)
    await scheduler()
    expect(many.started).toEqual(['s1', 's2'])
    void many.add('b', 'q1')
    await scheduler()
    expect(many.started).toEqual(['s1', 's2', 'q1'])
    const one = createScene(1, 1)
    for (const name of ['s1', 's2']) void one.add('a', name, true)
    for (const name of ['q1', 'q2']) void one.add('b', name)
    await scheduler()
    for (const name of ['s1', 'q1', 's2']) await one.finish(name)
    expect(one.started).toEqual(['s1', 'q1', 's2', 'q2'])
  })

  it('are released by work that fails', async () => {
    const turns = createTurns({ limit: 1, slowLimit: 1 })
    await expect(turns.run('a', false, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await turns.run('a', true, () => Promise.resolve(1))).toBe(1)
  })
})
