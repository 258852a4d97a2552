import { expect, it } from 'vitest'
import { createRenderer, type Renderer } from '../../src/delivery/renderer.js'
import type { SubscriptionRequest } from '../../src/delivery/subscription.js'
import type { Observation } from '../../src/lib/observation.js'
import type { Position } from '../../src/log/position.js'
import { EventSource } from '../../src/sources/source.js'

const POSITION: Position = { n: 1, token: 1, ord: 1, statement: 1, id: 1 }

interface Event {
  readonly text: string
  readonly position?: Position
  readonly ends?: boolean
}

/** Creates a renderer that returns the text of an event, and records what it renders and observes. */
function createTested(maxEvent = 100) {
  const rendered: string[] = []
  const observed: Observation[] = []
  const source = new EventSource<Event>(
    { kind: 'channel', name: 'news' },
    {
      open: () => expect.unreachable(),
      live: () => expect.unreachable(),
      positionOf: ({ position }) => position,
      endsHistory: ({ ends }) => ends ?? false,
    },
  )
  const request = {
    source,
    render({ text }: Event) {
      rendered.push(text)
      return text
    },
    renderTooLarge: (_event: Event, bytes: number) => `${bytes} bytes`,
  } as unknown as SubscriptionRequest<unknown>
  const renderer: Renderer = createRenderer(request, {
    limits: { maxEvent },
    observe: observation => observed.push(observation),
  })
  return { renderer, rendered, observed }
}

it('a frame consists of the text, its size in UTF-8, the position and the end of a history', () => {
  const { renderer } = createTested()
  expect(renderer.fresh({ text: 'é🐘', position: POSITION, ends: true })).toEqual({
    text: 'é🐘',
    bytes: 6,
    position: POSITION,
    isFinal: false,
    endsHistory: true,
    isState: false,
  })
  expect(renderer.fresh({ text: 'plain' })).toMatchObject({ position: undefined, endsHistory: false })
})

it('an event larger than maxEvent is replaced and observed; an event of exactly maxEvent passes', () => {
  const { renderer, observed } = createTested(4)
  expect(renderer.fresh({ text: 'é🐘', position: POSITION })).toMatchObject({
    text: '6 bytes',
    bytes: 7,
    position: POSITION,
  })
  expect(observed).toEqual([{ type: 'event.too-large', topic: 'news', bytes: 6, limit: 4 }])
  expect(renderer.fresh({ text: '🐘' }).text).toBe('🐘')
  expect(observed.length).toBe(1)
})

it('an event of the past is rendered once, and a live event each time', () => {
  const { renderer, rendered } = createTested()
  const past = { text: 'past' }
  expect(renderer.shared(past)).toBe(renderer.shared(past))
  expect(rendered).toEqual(['past'])
  expect(renderer.shared({ text: 'past' })).not.toBe(renderer.shared(past))
  const live = { text: 'live' }
  expect(renderer.fresh(live)).not.toBe(renderer.fresh(live))
  expect(rendered).toEqual(['past', 'past', 'live', 'live'])
})
