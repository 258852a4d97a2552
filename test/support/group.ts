import { createBackpressure } from '../../src/delivery/backpressure.js'
import { Group } from '../../src/delivery/group.js'
import type { GroupOptions } from '../../src/delivery/group-options.js'
import { Outbound } from '../../src/delivery/outbound.js'
import { createScheduler } from '../../src/delivery/scheduler.js'
import type { Sink } from '../../src/delivery/sink.js'
import type { SubscriptionRequest } from '../../src/delivery/subscription.js'
import { createClientMemory } from '../../src/lib/limits/client-memory.js'
import type { Stop } from '../../src/lib/stop.js'
import type { Position } from '../../src/log/position.js'
import { EventSource, type Follower, type SourceOptions } from '../../src/sources/source.js'

const observe = () => undefined
const scheduler = createScheduler(error => {
  throw error
})
const backpressure = createBackpressure({ limits: { maxBuffer: 1e6 }, scheduler, observe })
const memory = createClientMemory(1e9)
export const groupOptions: GroupOptions = {
  limits: { maxEvent: 1e6 },
  scheduler,
  backpressure,
  memory,
  observe,
}
/** Resolves once every pending event has been rendered and sent. */
export const sent = () => new Promise<void>(resolve => scheduler.afterwards(resolve))
export const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })

/**
 * The connection of one client, and the texts that were sent to the client.
 * @param writable says whether the sink takes frames now. Default: always
 */
export function createClient(writable = () => true) {
  const texts: string[] = []
  const sink: Sink = {
    get writable() {
      return writable()
    },
    held: 0,
    frame: (_subscriber, { text, isFinal }) => void texts.push(isFinal ? `last: ${text}` : text),
    control: () => undefined,
    begin: () => undefined,
    end: () => undefined,
    cut: reason => void texts.push(`cut: ${reason}`),
  }
  const outbound = new Outbound(
    { limits: { maxBuffer: 1e6 }, stallTimeout: 1e6, scheduler, backpressure, memory, observe },
    sink,
    { transport: 'test', remote: '' },
  )
  return { id: '', outbound, texts }
}

/** Creates a group, and the calls that its source receives. */
export function createGroup(
  options: Partial<SourceOptions<number>> = {},
  { prepare, ...ofGroup }: GroupOptions & Pick<SubscriptionRequest<number>, 'prepare'> = groupOptions,
) {
  const followers: Follower<number>[] = []
  const rendered: number[] = []
  const stopped: number[] = []
  let emptied = 0
  const request: SubscriptionRequest<number> = {
    key: 'same',
    bytes: 0,
    source: new EventSource<number>(
      { kind: 'table', name: 'people' },
      {
        async open(follower): Promise<Stop> {
          const number = followers.push(follower)
          return () => void stopped.push(number)
        },
        live: async () => undefined,
        positionOf: at,
        ...options,
      },
    ),
    ...(prepare && { prepare }),
    render(event) {
      rendered.push(event)
      return String(event)
    },
    renderTooLarge: String,
    renderEnd: ({ code }) => code,
    renew: () => undefined,
  }
  const group = new Group(request as unknown as SubscriptionRequest<unknown>, ofGroup, () => emptied++)
  return {
    group,
    rendered,
    stopped,
    followers,
    follower: () => followers.at(-1) as Follower<number>,
    timesEmptied: () => emptied,
  }
}

/**
 * Requests with a source each. In the first schema they are equal if their keys are; after `change`, all are.
 * @param optionsOf of the source of a request, in a schema, from 1 on
 * @param render how a request of a schema renders an event. Default: as text
 */
export function createRenewable(
  optionsOf: (key: string, schema: number) => SourceOptions<number>,
  render: (event: number, key: string, schema: number) => string = String,
) {
  let schema = 1
  const request = (key: string): SubscriptionRequest<number> => {
    const made = schema
    return {
      key: made === 1 ? key : 'same',
      bytes: 0,
      source: new EventSource<number>({ kind: 'table', name: 'people' }, optionsOf(key, made)),
      render: event => render(event, key, made),
      renderTooLarge: String,
      renderEnd: ({ code }) => code,
      renew: () => (made === schema ? undefined : Promise.resolve(request(key))),
    }
  }
  return { request, change: () => void schema++ }
}
