import { expect, it } from 'vitest'
import { createTurn } from '../../src/delivery/scheduler.js'

const turnOver = () => new Promise(resolve => setImmediate(resolve))
/** Keeps the processor busy until the turn's time is used up. */
function useUp(turn: ReturnType<typeof createTurn>): void {
  while (!turn.isOver);
}

it('runs a task once however often it is due, and what it makes due, in the same turn', async () => {
  const ran: string[] = []
  const turn = createTurn(() => undefined)
  const second = () => void ran.push('second')
  const first = () => {
    ran.push('first')
    turn.due(second)
  }
  turn.due(first)
  turn.due(first)
  expect(ran).toEqual([])
  await turnOver()
  expect(ran).toEqual(['first', 'second'])
  turn.due(second)
  await turnOver()
  expect(ran).toEqual(['first', 'second', 'second'])
})

it('runs the others when one throws', async () => {
  const faults: unknown[] = []
  const ran: string[] = []
  const turn = createTurn(error => faults.push(error))
  turn.due(() => {
    throw new Error('broken')
  })
  turn.due(() => void ran.push('sound'))
  await turnOver()
  expect(ran).toEqual(['sound'])
  expect(faults).toEqual([new Error('broken')])
})

it('lets others have a turn when its time is used up, and says when nothing is due any more', async () => {
  const turn = createTurn(() => undefined)
  const ran: string[] = []
  for (const name of ['a', 'b', 'c']) {
    turn.due(() => {
      ran.push(name)
      useUp(turn)
    })
  }
  turn.afterwards(() => void ran.push('settled'))
  turn.spare(() => void ran.push('spare'))
  await turnOver()
  expect(ran).toEqual(['a', 'spare'])
  await turnOver()
  expect(ran).toEqual(['a', 'spare', 'b'])
  while (!ran.includes('settled')) await turnOver()
  expect(ran).toEqual(['a', 'spare', 'b', 'c', 'settled'])
})

it('puts what is due ahead of what may wait, which moves on all the same', async () => {
  const turn = createTurn(() => undefined)
  const ran: string[] = []
  let isBusy = true
  const busy = () => {
    if (isBusy) turn.afterwards(() => turn.due(busy))
  }
  turn.due(busy)
  const waits = ['a', 'b', 'c'].map(name => () => {
    ran.push(name)
    useUp(turn)
    turn.due(() => void ran.push('urgent'))
  })
  for (const wait of waits) turn.spare(wait)
  while (!ran.includes('c')) await turnOver()
  isBusy = false
  await turnOver()
  await turnOver()
  expect(ran).toEqual(['a', 'urgent', 'b', 'urgent', 'c', 'urgent'])
})

it('a task that becomes urgent does not run a second time as one that may wait', async () => {
  const turn = createTurn(() => undefined)
  let runs = 0
  const task = () => void runs++
  turn.spare(task)
  turn.due(task)
  turn.spare(task)
  await turnOver()
  await turnOver()
  expect(runs).toBe(1)
})
