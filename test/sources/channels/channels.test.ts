import { describe, expect, it, vi } from 'vitest'
import type { ChannelEvent } from '../../../src/sources/channels/channel-event.js'
import { createChannels } from '../../../src/sources/channels/channels.js'
import { FakedListener } from '../../support/faked-listener.js'
import { createFakedLog } from '../../support/faked-log.js'

/** Creates channels over a faked LISTEN connection and, if requested, a faked log. */
function createTested(withLog = false) {
  const log = createFakedLog([10])
  const listener = new FakedListener()
  const channels = createChannels({ listener, ...(withLog && { log: log.follower }) })
  return { channels, log, listener }
}

/** Subscribes. `received` lists the events that the subscriber received, one word each. */
async function subscribe({ channels }: ReturnType<typeof createTested>, name = 'news') {
  const received: string[] = []
  const stop = await channels.source(name).open({
    event: event => void received.push(describeEvent(event)),
    end: error => void received.push(error.code),
  })
  return { received, stop }
}

function describeEvent({ payload, gap, endsHistory }: ChannelEvent): string {
  return [payload, gap && 'gap', endsHistory && 'end of a history'].filter(Boolean).join(', ')
}

describe('notifications', () => {
  it('reach all subscribers of their channel, as one object', async () => {
    const tested = createTested()
    const events: ChannelEvent[] = []
    for (let i = 0; i < 2; i++)
      await tested.channels.source('news').open({ event: event => events.push(event), end: () => undefined })
    const other = await subscribe(tested, 'other')
    tested.listener.notify('news', 'hello')
    expect(events.map(({ payload }) => payload)).toEqual(['hello', 'hello'])
    expect(events[0]).toBe(events[1])
    expect(other.received).toEqual([])
  })

  it('require LISTEN until the last subscriber has left', async () => {
    const tested = createTested()
    const unlisten = vi.spyOn(tested.listener, 'unlisten')
    const [one, other] = [await subscribe(tested), await subscribe(tested)]
    one.stop()
    one.stop()
    expect(unlisten).not.toHaveBeenCalled()
    tested.listener.notify('news', 'hello')
    other.stop()
    expect(unlisten.mock.calls).toEqual([['news']])
    expect([one.received, other.received]).toEqual([[], ['hello']])
  })
})

describe('an outage', () => {
  it('delivers one gap to each subscriber when it ends', async () => {
    const tested = createTested()
    const { received } = await subscribe(tested)
    tested.listener.notify('news', 'before')
    tested.listener.lose()
    expect(received).toEqual(['before'])
    tested.listener.recover()
    expect(received).toEqual(['before', 'gap'])
    tested.listener.notify('news', 'after')
    expect(received).toEqual(['before', 'gap', 'after'])
  })

  it('delivers a gap before a notification that overtakes the answer to LISTEN, and no second gap after it', async () => {
    const tested = createTested()
    const { received } = await subscribe(tested)
    tested.listener.lose()
    tested.listener.notify('news', 'early')
    tested.listener.recover()
    expect(received).toEqual(['gap', 'early'])
  })

  it('delivers no gap to a subscriber that joined during the outage', async () => {
    const tested = createTested()
    tested.listener.lose()
    const subscribed = subscribe(tested)
    tested.listener.recover()
    const { received } = await subscribed
    tested.listener.notify('news', 'first')
    expect(received).toEqual(['first'])
  })
})

describe('a published event', () => {
  const publish = (number: number, topic = 'news') => [{ kind: 'c' as const, topic, number }]

  it('arrives from the log, among the notifications', async () => {
    const tested = createTested(true)
    const { received } = await subscribe(tested)
    tested.log.commit(publish(1))
    tested.log.commit(publish(2, 'other'))
    while (tested.log.dispatchNext());
    tested.listener.notify('news', 'hello')
    expect(received).toEqual(['1', 'hello'])
  })

  it('arrives in the next history of the log, after a gap', async () => {
    const tested = createTested(true)
    const { received } = await subscribe(tested)
    tested.log.endHistory()
    tested.log.commit(publish(1))
    while (tested.log.dispatchNext());
    expect(received).toEqual(['gap, end of a history', '1'])
  })

  it('is no longer followed once the last subscriber has left', async () => {
    const tested = createTested(true)
    const follow = vi.spyOn(tested.log.follower, 'follow')
    const { received, stop } = await subscribe(tested)
    stop()
    tested.log.commit(publish(1))
    while (tested.log.dispatchNext());
    tested.log.endHistory()
    expect(received).toEqual([])
    expect(follow).toHaveBeenCalledOnce() // and not again for the next history
  })

  it('is the only kind of event in a replay: a page contains the events of the channel, and the seam is a gap', async () => {
    const tested = createTested(true)
    const source = tested.channels.source('news')
    await source.open({ event: () => undefined, end: () => undefined })
    tested.log.commit([...publish(1), ...publish(2, 'other'), ...publish(3)])
    const replay = source.replay
    if (!replay) throw new Error('there is a log')
    const page = replay.read({ n: 0, token: 0, ord: 0, statement: 0, id: 0 })
    tested.log.answer()
    const { events, history } = await page
    expect(events.map(describeEvent)).toEqual(['1', '3'])
    expect(history).toBe(0)
    expect(replay.seam().map(describeEvent)).toEqual(['gap'])
  })
})

it('a channel without a log has no replay', () => {
  expect(createTested().channels.source('news').replay).toBe(undefined)
})

it('a name that no channel can have is refused', () => {
  expect(() => createTested().channels.source('')).toThrowError(
    expect.objectContaining({ code: 'CHANNEL_NAME_INVALID' }),
  )
})
