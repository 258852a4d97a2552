import type { Groups } from '../../src/delivery/groups.js'
import { Outbound, type OutboundOptions } from '../../src/delivery/outbound.js'
import type { Sink } from '../../src/delivery/sink.js'
import type { Position } from '../../src/log/position.js'
import type { ChannelEvent } from '../../src/sources/channels/channel-event.js'
import type { EventSource } from '../../src/sources/source.js'
import type { RowChange } from '../../src/sources/tables/row-change.js'

/** A subscription to one source, which takes an event only when the test says so. */
export interface Reader {
  /**
   * What it has received: numbers of logged events, `gap`, `end of history`, and plain notifications as `n1`,
   * `n2`, …
   */
  readonly got: readonly (number | string)[]
  /** Whether no event delivered from now on can be missed. */
  readonly isOpen: boolean
  /** Whether the source has ended it with an error. */
  readonly hasEnded: boolean
  /** Takes the next event, immediately or when it arrives. */
  take(): void
  stop(): void
}

type Event = ChannelEvent | RowChange
export type Source = EventSource<Event>

function nameOf(event: Event): number | string {
  if (event.position) return event.position.id
  if (!('gap' in event)) throw new TypeError('a change of a table has a position')
  if (event.endsHistory) return 'end of history'
  return event.gap ? 'gap' : String(event.payload)
}

/** Reads by `EventSource.iterate`, as other GraphQL servers do. */
export function createIteratingReader(source: Source): Reader {
  const got: (number | string)[] = []
  let isOpen = false
  let hasEnded = false
  let isTaking = false
  const iterator = source.iterate()
  iterator.then(
    () => {
      isOpen = true
    },
    () => {
      hasEnded = true
    },
  )
  return {
    got,
    get isOpen() {
      return isOpen
    },
    get hasEnded() {
      return hasEnded
    },
    take() {
      if (isTaking) return
      isTaking = true
      iterator
        .then(events => events.next())
        .then(
          ({ value, done }) => {
            if (done) hasEnded = true
            else got.push(nameOf(value))
            isTaking = false
          },
          () => {
            hasEnded = true
          },
        )
    },
    stop: () =>
      void iterator.then(
        events => events.return?.(),
        () => undefined,
      ),
  }
}

/** Reads as a subscriber of a group, as our own transports do. */
export function createSubscribedReader(
  { groups, ...connection }: { readonly groups: Groups } & OutboundOptions,
  key: string,
  source: Source,
  after: Position | undefined,
): Reader {
  const got: (number | string)[] = []
  let isOpen = false
  let hasEnded = false
  let room = 0
  const sink: Sink = {
    get writable() {
      return room > 0
    },
    held: 0,
    frame(_subscriber, { text, isFinal }) {
      room--
      if (isFinal) hasEnded = true
      else got.push(JSON.parse(text) as number | string)
    },
    control: () => undefined,
    begin: () => undefined,
    end: () => undefined,
    cut: () => undefined,
  }
  const outbound = new Outbound(connection, sink, { transport: 'test', remote: 'property' })
  const joined = groups.join(
    {
      key,
      bytes: 0,
      source,
      render: event => JSON.stringify(nameOf(event)),
      renderTooLarge: () => '',
      renderEnd: ({ code }) => code,
      renew: () => undefined,
    },
    { id: '', outbound, after },
  )
  joined.then(
    () => {
      isOpen = true
    },
    () => {
      hasEnded = true
    },
  )
  return {
    got,
    get isOpen() {
      return isOpen
    },
    get hasEnded() {
      return hasEnded
    },
    take() {
      room = 1
      outbound.resume()
    },
    stop() {
      outbound.close()
      joined.then(
        handle => handle.leave(),
        () => undefined,
      )
    },
  }
}
