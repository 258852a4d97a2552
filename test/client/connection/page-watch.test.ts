import { expect, it, vi } from 'vitest'
import { watchPage } from '../../../src/client/connection/page-watch.js'

it('checks when the network is back, the tab is shown, or the page comes out of the cache; not when the tab is hidden', () => {
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  const page = Object.assign(new EventTarget(), { document })
  const check = vi.fn()
  const stop = watchPage(check, page as Parameters<typeof watchPage>[1])
  page.dispatchEvent(new Event('online'))
  expect(check).toHaveBeenCalledTimes(1)
  page.dispatchEvent(new Event('pageshow'))
  expect(check).toHaveBeenCalledTimes(2)
  document.dispatchEvent(new Event('visibilitychange'))
  expect(check).toHaveBeenCalledTimes(3)
  document.visibilityState = 'hidden'
  document.dispatchEvent(new Event('visibilitychange'))
  expect(check).toHaveBeenCalledTimes(3)
  stop()
  document.visibilityState = 'visible'
  document.dispatchEvent(new Event('visibilitychange'))
  page.dispatchEvent(new Event('online'))
  expect(check).toHaveBeenCalledTimes(3)
})

it('does nothing on a server, which has no such events', () => {
  watchPage(() => expect.unreachable(), {})()
})
