import { expect, it, vi } from 'vitest'
import { liveRows } from '../../../src/client/index.js'
import { cachedStore } from '../../../src/client/react/store-cache.js'
import { createScriptedClient } from '../../support/scripted-rows.js'

const CHANGES = 'subscription { peopleChanged(initial: true) { operation key { id } row { id } } }'

it('one key of one client has one store, until the store is closed', () => {
  const client = createScriptedClient()
  const create = vi.fn(() => liveRows(client, { changes: CHANGES }))
  const store = cachedStore(client, 'a', create)
  expect(cachedStore(client, 'a', create)).toBe(store)
  expect(cachedStore(client, 'b', create)).not.toBe(store)
  expect(cachedStore({}, 'a', create)).not.toBe(store)
  expect(create).toHaveBeenCalledTimes(3)
  store.dispose()
  expect(cachedStore(client, 'a', create)).not.toBe(store)
})
