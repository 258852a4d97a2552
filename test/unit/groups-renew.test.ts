import { expect, it } from 'vitest'
import { createGroups, type Request } from '../../src/delivery/groups.js'
import { Outbound } from '../../src/delivery/outbound.js'
import { createPressure } from '../../src/delivery/pressure.js'
import { createTurn } from '../../src/delivery/turn.js'
import { EventSource } from '../../src/events/source.js'
import { createDeferred } from '../../src/lib/deferred.js'

const observe = () => undefined
const turn = createTurn(error => {
  throw error
})
const pressure = createPressure({ maxBuffer: 1e6, turn, onChange: observe, observe })
const sink = { writable: true, frame() {}, control() {}, begin() {}, end() {}, cut() {} }
const outbound = new Outbound({
  sink,
  transport: 'test',
  remote: '',
  maxBuffer: 1e6,
  stallTimeout: 1e6,
  turn,
  pressure,
  observe,
})

it('a group that all have left while the schema was built again follows nothing', async () => {
  let open = 0
  const source = () =>
    new EventSource(
      { kind: 'table', name: 'people' },
      {
        async open() {
          open++
          let stopped = false
          return () => {
            if (!stopped) open--
            stopped = true
          }
        },
        live: () => Promise.resolve(),
      },
    )
  const renewed = createDeferred()
  let isOld = false
  const request = (renew: Request<unknown>['renew']): Request<unknown> => ({
    key: 'same',
    source: source(),
    render: String,
    renderTooLarge: String,
    renderEnd: String,
    renew,
  })
  const groups = createGroups({ maxEvent: 1e6, turn, pressure, observe })
  const { leave } = await groups.join(
    request(() => (isOld ? renewed.promise.then(() => request(() => undefined)) : undefined)),
    { id: '', outbound },
  )
  isOld = true
  const done = groups.renew()
  leave()
  renewed.resolve()
  await done
  await Promise.resolve()
  expect(groups.size).toEqual({ groups: 0, subscribers: 0 })
  expect(open).toBe(0)
})
