import { describe, expect, it, vi } from 'vitest'
import type { ChannelEvent } from '../../../src/sources/channels/channel-event.js'
import { createChannels } from '../../../src/sources/channels/channels.js'
import { FakedListener } from '../../support/faked-listener.js'
import { createFakedLog } from '../../support/faked-log.js'

/** Channels over a faked LISTEN connection, with a faked log if that is asked for. */
function createTested(withLog = false) {
  const log = createFakedLog([10])
  const listener = new FakedListener()
  const channels = createChannels({ listener, ...(withLog && { log: log.follower }) })
  return { channels, log, listener }
}

/** Subscribes. `told` has what it was told, a word for each event. */
async function subscribe({ channels }: ReturnType<typeof createTested>, name = 'news') {
  const told: string[] = []
  const stop = await channels.source(name).open({
    event: event => void told.push(describeEvent(event)),
    end: error => void told.push(error.code),
  })
  return { told, stop }
}

function describeEvent({ payload, gap, endsHistory }: ChannelEvent): string {
  return [payload, gap && 'gap', endsHistory && 'end of a history'].filter(Boolean).join(', ')
}

describe('notifications', () => {
  it('come to all subscribers of their channel, as one object', async () => {
    const tested = createTested()
    const events: ChannelEvent[] = []
    for (let i = 0; i < 2; i++)
      await tested.channels.source('news').open({ event: event => events.push(event), end: () => undefined })
    const other = await subscribe(tested, 'other')
    tested.listener.notify('news', 'hello')
    expect(events.map(({ payload }) => payload)).toEqual(['hello', 'hello'])
    expect(events[0]).toBe(events[1])
    expect(other.told).toEqual([])
  })

  it('are listened to until the last subscriber has left', async () => {
    const tested = createTested()
    const unlisten = vi.spyOn(tested.listener, 'unlisten')
    const [one, other] = [await subscribe(tested), await subscribe(tested)]
    one.stop()
    one.stop()
    expect(unlisten).not.toHaveBeenCalled()
    tested.listener.notify('news', 'hello')
    other.stop()
    expect(unlisten.mock.calls).toEqual([['news']])
    expect([one.told, other.told]).toEqual([[], ['hello']])
  })
})

describe('an outage', () => {
  it('is one gap for each subscriber, when it is over', async () => {
    const tested = createTested()
    const { told } = await subscribe(tested)
    tested.listener.notify('news', 'before')
    tested.listener.lose()
    expect(told).toEqual(['before'])
    tested.listener.recover()
    expect(told).toEqual(['before', 'gap'])
    tested.listener.notify('news', 'after')
    expect(told).toEqual(['before', 'gap', 'after'])
  })

  it('is a gap before a notification that overtakes the answer to LISTEN, and not a second one after it', async () => {
    const tested = createTested()
    const { told } = await subscribe(tested)
    tested.listener.lose()
    tested.listener.notify('news', 'early')
    tested.listener.recover()
    expect(told).toEqual(['gap', 'early'])
  })

  it('is none for a subscriber that came while it lasted', async () => {
    const tested = createTested()
    tested.listener.lose()
    const subscribed = subscribe(tested)
    tested.listener.recover()
    const { told } = await subscribed
    tested.listener.notify('news', 'first')
    expect(told).toEqual(['first'])
  })
})

describe('what is published', () => {
  const publish = (number: number, topic = 'news') => [{ kind: 'c' as const, topic, number }]

  it('comes out of the log, among the notifications', async () => {
    const tested = createTested(true)
    const { told } = await subscribe(tested)
    tested.log.commit(publish(1))
    tested.log.commit(publish(2, 'other'))
    while (tested.log.handOn());
    tested.listener.notify('news', 'hello')
    expect(told).toEqual(['1', 'hello'])
  })

  it('goes on in the next history of the log, after a gap', async () => {
    const tested = createTested(true)
    const { told } = await subscribe(tested)
    tested.log.endHistory()
    tested.log.commit(publish(1))
    while (tested.log.handOn());
    expect(told).toEqual(['gap, end of a history', '1'])
  })

  it('is not followed any more when the last subscriber has left', async () => {
    const tested = createTested(true)
    const follow = vi.spyOn(tested.log.follower, 'follow')
    const { told, stop } = await subscribe(tested)
    stop()
    tested.log.commit(publish(1))
    while (tested.log.handOn());
    tested.log.endHistory()
    expect(told).toEqual([])
    expect(follow).toHaveBeenCalledOnce() // not again, for the next history
  })

  it('is all that there is of the past: a page has the events of the channel, and the seam is a gap', async () => {
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

it('has no past where there is no log', () => {
  expect(createTested().channels.source('news').replay).toBe(undefined)
})

it('refuses names that no channel can have', () => {
  expect(() => createTested().channels.source('')).toThrowError(
    expect.objectContaining({ code: 'CHANNEL_NAME_INVALID' }),
  )
})
