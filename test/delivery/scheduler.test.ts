import { expect, it } from 'vitest'
import { createScheduler } from '../../src/delivery/scheduler.js'

const turnOver = () => new Promise(resolve => setImmediate(resolve))
/** Keeps the processor busy until the time of the turn is used up. */
function useUp(scheduler: ReturnType<typeof createScheduler>): void {
  while (!scheduler.isOver);
}

it('a task runs once however often it is scheduled, and tasks that it schedules run in the same turn', async () => {
  const ran: string[] = []
  const scheduler = createScheduler(() => undefined)
  const second = () => void ran.push('second')
  const first = () => {
    ran.push('first')
    scheduler.due(second)
  }
  scheduler.due(first)
  scheduler.due(first)
  expect(ran).toEqual([])
  await turnOver()
  expect(ran).toEqual(['first', 'second'])
  scheduler.due(second)
  await turnOver()
  expect(ran).toEqual(['first', 'second', 'second'])
})

it('the other tasks run if one throws', async () => {
  const faults: unknown[] = []
  const ran: string[] = []
  const scheduler = createScheduler(error => faults.push(error))
  scheduler.due(() => {
    throw new Error('broken')
  })
  scheduler.due(() => void ran.push('sound'))
  await turnOver()
  expect(ran).toEqual(['sound'])
  expect(faults).toEqual([new Error('broken')])
})

it('the scheduler yields when the time of the turn is used up, and reports when nothing is scheduled any more', async () => {
  const scheduler = createScheduler(() => undefined)
  const ran: string[] = []
  for (const name of ['a', 'b', 'c']) {
    scheduler.due(() => {
      ran.push(name)
      useUp(scheduler)
    })
  }
  scheduler.afterwards(() => void ran.push('settled'))
  scheduler.spare(() => void ran.push('spare'))
  await turnOver()
  expect(ran).toEqual(['a', 'spare'])
  await turnOver()
  expect(ran).toEqual(['a', 'spare', 'b'])
  while (!ran.includes('settled')) await turnOver()
  expect(ran).toEqual(['a', 'spare', 'b', 'c', 'settled'])
})

it('urgent tasks run before deferrable ones, which still make progress', async () => {
  const scheduler = createScheduler(() => undefined)
  const ran: string[] = []
  let isBusy = true
  const busy = () => {
    if (isBusy) scheduler.afterwards(() => scheduler.due(busy))
  }
  scheduler.due(busy)
  const waits = ['a', 'b', 'c'].map(name => () => {
    ran.push(name)
    useUp(scheduler)
    scheduler.due(() => void ran.push('urgent'))
  })
  for (const wait of waits) scheduler.spare(wait)
  while (!ran.includes('c')) await turnOver()
  isBusy = false
  await turnOver()
  await turnOver()
  expect(ran).toEqual(['a', 'urgent', 'b', 'urgent', 'c', 'urgent'])
})

it('a deferrable task that becomes urgent does not run a second time', async () => {
  const scheduler = createScheduler(() => undefined)
  let runs = 0
  const task = () => void runs++
  scheduler.spare(task)
  scheduler.due(task)
  scheduler.spare(task)
  await turnOver()
  await turnOver()
  expect(runs).toBe(1)
})

it('a spare task gets some time of a turn that due tasks have used up', async () => {
  const scheduler = createScheduler(() => undefined)
  const was: boolean[] = []
  scheduler.due(() => useUp(scheduler))
  scheduler.spare(() => void was.push(scheduler.isOver))
  await turnOver()
  expect(was).toEqual([false])
})
