import { expect, it } from 'vitest'
import { createRefusals } from '../../../page/session/refusals.js'

const refusal = (message: string) => ({ about: 'people', code: 'FORBIDDEN', message, hint: undefined })

it('the newest refusal is shown, and then the one before if it still holds', () => {
  const refusals = createRefusals()
  refusals.report('table', refusal('first'))
  refusals.report('channel', refusal('second'))
  expect(refusals.getSnapshot()?.message).toBe('second')
  refusals.report('channel', undefined)
  expect(refusals.getSnapshot()?.message).toBe('first')
  refusals.report('table', undefined)
  expect(refusals.getSnapshot()).toBe(undefined)
})

it('a refusal that is repeated does not come to the front again, and a hidden one stays hidden until it is repeated', () => {
  const refusals = createRefusals()
  let calls = 0
  refusals.subscribe(() => calls++)
  refusals.report('table', refusal('first'))
  refusals.report('channel', refusal('second'))
  refusals.report('table', refusal('first'))
  expect([refusals.getSnapshot()?.message, calls]).toEqual(['second', 2])
  refusals.dismiss()
  expect(refusals.getSnapshot()).toBe(undefined)
})
