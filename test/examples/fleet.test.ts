import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeInBrowser } from '../support/browser.js'
import { type Example, startExample } from '../support/example.js'

describeInBrowser('the example fleet', open => {
  let example: Example

  beforeAll(async () => {
    example = await startExample('fleet')
  })

  afterAll(() => example?.close())

  it('shows', async () => {
    const watched = await open()
    await example.open(watched)
    const text = watched.page.locator('p')
    await expect.poll(() => text.textContent()).toBe('A1')
    await example.proxy.cut()
    await example.query("insert into vehicles (fleet, name) values ('Bikes', 'A2')")
    await example.proxy.mend()
    await expect.poll(() => text.textContent()).toBe('A1 A2')
    await example.kill()
    await example.query("insert into vehicles (fleet, name) values ('Bikes', 'A3')")
    await example.start()
    await expect.poll(() => text.textContent()).toBe('A1 A2 A3')
    expect(watched.errors()).toEqual([])
  })
})
