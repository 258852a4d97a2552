import type { GroupOptions } from './group-options.js'
import { createFrame, type Frame } from './stream.js'
import type { SubscriptionRequest } from './subscription.js'

/** Renders events to the frames of one group. An event above `maxEvent` is replaced by an error. */
export interface Renderer {
  /** Renders a part of a live event ahead. @returns whether `fresh` has little left to do */
  prepare(event: unknown, isOver: () => boolean): boolean
  /** Renders a live event, which is rendered once. */
  fresh(event: unknown): Frame
  /** Renders an event of the past, which several subscribers may replay. Rendered once while the event object is kept. */
  shared(event: unknown): Frame
}

export function createRenderer(
  { source, prepare = () => true, render, renderTooLarge }: SubscriptionRequest<unknown>,
  options: Pick<GroupOptions, 'limits' | 'observe'>,
): Renderer {
  let frames: WeakMap<object, Frame> | undefined

  function fresh(event: unknown): Frame {
    let text = render(event)
    let bytes = Buffer.byteLength(text)
    const { maxEvent } = options.limits
    if (bytes > maxEvent) {
      options.observe({ type: 'event.too-large', topic: source.topic.name, bytes, limit: maxEvent })
      text = renderTooLarge(event, bytes)
      bytes = Buffer.byteLength(text)
    }
    const endsHistory = source.endsHistory(event)
    return createFrame(text, bytes, source.positionOf(event), { endsHistory, isState: source.isState })
  }

  return {
    prepare,
    fresh,
    shared(event) {
      if (typeof event !== 'object' || event === null) return fresh(event)
      frames ??= new WeakMap()
      let frame = frames.get(event)
      if (!frame) {
        frame = fresh(event)
        frames.set(event, frame)
      }
      return frame
    },
  }
}
