import { Writable } from 'node:stream'
import { expect, it } from 'vitest'
import { createProgress } from '../../../src/commands/shared/progress.js'

function terminal(isTTY: boolean) {
  let text = ''
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk)
      done()
    },
  })
  return { stderr: Object.assign(stderr, { isTTY }), text: () => text }
}

it('shows on a terminal how many of many steps are done, and removes the line before other output', () => {
  const { stderr, text } = terminal(true)
  const progress = createProgress({ stderr }, { total: 200, what: 'watching', noun: 'table' })
  progress.clear()
  progress.show(0)
  progress.show(57)
  progress.clear()
  progress.clear()
  expect(text()).toBe('\r\x1b[Kwatching: 0 of 200 tables\r\x1b[Kwatching: 57 of 200 tables\r\x1b[K')
})

it.each([
  ['in a file', false, 200],
  ['for few steps', true, 9],
])('shows nothing %s', (_, isTTY, total) => {
  const { stderr, text } = terminal(isTTY)
  const progress = createProgress({ stderr }, { total, what: 'watching', noun: 'table' })
  progress.show(3)
  progress.clear()
  expect(text()).toBe('')
})
