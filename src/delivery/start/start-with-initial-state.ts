import { abortable, delay } from '../../lib/abort.js'
import { ListenqlError } from '../../lib/errors.js'
import type { Hold } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { isStartOver, type Position, START_OVER } from '../../log/position.js'
import { type InitialState, MIN_RESET_INTERVAL_MS } from '../../sources/initial-state.js'
import type { ReplayPage } from '../../sources/resume.js'
import { tryAgain } from '../../sources/try-again.js'
import type { Group } from '../group.js'
import { assertGoesOn, hasOpened, replayOf } from '../present-source.js'
import { FrameStream } from '../stream.js'
import { Subscriber } from '../subscriber.js'
import type { SubscriberOptions } from '../subscription.js'
import { catchUp } from './catch-up.js'
import { holdInitialState } from './held-initial-states.js'
import { pushState } from './push-state.js'

/** Where a subscriber starts: with the state, after a reset or not, or after its position. */
type Start =
  | { readonly kind: 'state'; readonly held: HeldState; readonly isReset: boolean }
  | { readonly kind: 'position'; readonly after: Position; readonly first: ReplayPage<unknown> }

/** A state that counts as memory of clients until it is released. */
interface HeldState extends Pick<Hold, 'release'> {
  state: InitialState<unknown>
}

/**
 * A subscriber that starts with the initial state: it gets the state, then the changes after it from the log, then the stream of its
 * group. Where it would miss changes, because its position has expired or the history of its group has ended, it gets a reset and
 * starts over. It gets each change exactly once, since the state is exact at a position.
 * @returns once the state, or the first page after the subscriber's position, has been read
 */
export async function startWithInitialState(
  group: Group,
  options: SubscriberOptions,
  signal: AbortSignal,
): Promise<Subscriber> {
  const { id, outbound, account, owner } = options
  const { memory, observe, scheduler } = group.options
  let began = performance.now()
  const start = await firstStart(group, options, signal)
  let own = new FrameStream(memory.wait)
  const subscriber = new Subscriber(id, own, start.kind === 'position' ? start.after : START_OVER, account)
  /** Aborts with the history in which the subscriber starts. */
  let history = new AbortController()
  let hasJoined = false
  let resetAt = Number.NEGATIVE_INFINITY

  const notify = () => outbound.notify(subscriber)
  const push = (event: unknown) => own.push(group.home.fanOut.replayed(event))

  /** Shows the state, if it starts with one. @returns the position after which it follows the log */
  async function showState(from: Start, over: AbortSignal): Promise<Position> {
    if (from.kind === 'position') return from.after
    const { state } = from.held
    try {
      if (from.isReset) push(group.home.epoch.resetFor(state))
      await pushState({
        ...{ state, own, subscriber, scheduler, push, notify, signal: over },
        check: () => assertGoesOn(group),
      })
    } finally {
      from.held.release()
      from.held.state = { ...state, events: [] } // so that the rows are not kept while the subscriber catches up
    }
    return state.position
  }

  async function follow(from: Start, over: AbortSignal): Promise<void> {
    const position = await showState(from, over)
    await catchUp({
      replay: () => replayOf(group),
      after: position,
      first: from.kind === 'position' ? from.first : undefined,
      own,
      group() {
        hasJoined = true
        return group.home.fanOut.flushed()
      },
      subscriber,
      scheduler,
      push,
      notify,
      account,
      signal: over,
    })
    over.throwIfAborted()
    const { name } = group.home.source.topic
    observe({ type: 'subscriber.caught-up', topic: name, took: performance.now() - began })
  }

  /** Follows until the subscriber has joined its group, as often as it has to start over. Never rejects. */
  async function run(first: Start | undefined): Promise<void> {
    for (let from = first; ; from = undefined) {
      const ended = history.signal
      const over = AbortSignal.any([signal, ended])
      try {
        await follow(from ?? (await nextStart(over)), over)
        return
      } catch (error) {
        if (signal.aborted) return
        const { end } = group.home
        if (end) return finish(end)
        if (ended.aborted) history = new AbortController()
        else if (!group.home.epoch.startsOverAfter(error)) return finish(error)
      }
    }
  }

  async function nextStart(over: AbortSignal): Promise<Start> {
    await delay(Math.max(0, resetAt + MIN_RESET_INTERVAL_MS - performance.now()), over)
    over.throwIfAborted()
    const read = async () => {
      await hasOpened(group, over)
      return readState(group, owner, over)
    }
    // Other clients may give memory back, and this one has been accepted.
    const held = await tryAgain(read, over, isOutOfMemory)
    resetAt = performance.now()
    began = resetAt
    return { kind: 'state', held, isReset: true }
  }

  function onHistoryEnd(end?: ListenqlError): void {
    if (!hasJoined) return history.abort()
    if (end) return // the final frame comes with the stream of the group
    hasJoined = false
    history = new AbortController()
    own = new FrameStream(memory.wait)
    subscriber.leaveFor(own)
    void run(undefined)
  }

  function finish(error: unknown): void {
    const isKnown = error instanceof ListenqlError
    if (!isKnown)
      observe({ type: 'fault', id: 'initial state', message: 'a subscription could not start', error })
    own.push(
      group.finalFrame(
        isKnown ? error : new ListenqlError('DATABASE_FAILED', 'the event log could not be read'),
      ),
    )
    notify()
  }

  subscriber.onHistoryEnd = onHistoryEnd
  group.home.fanOut.subscribers.set(subscriber, outbound)
  void run(start)
  return subscriber
}

/** Reads where the subscriber starts, all of it in one history of the group. */
async function firstStart(group: Group, options: SubscriberOptions, signal: AbortSignal): Promise<Start> {
  for (;;) {
    while (!group.home.isOpen) await hasOpened(group, signal)
    assertGoesOn(group)
    const { epoch } = group.home
    try {
      const start = await readStart(group, options, signal)
      if (epoch === group.home.epoch) return start
      if (start.kind === 'state') start.held.release()
    } catch (error) {
      if (signal.aborted || epoch === group.home.epoch) throw error
    }
  }
}

async function readStart(
  group: Group,
  { after, account, owner }: SubscriberOptions,
  signal: AbortSignal,
): Promise<Start> {
  if (after && !isStartOver(after)) {
    try {
      const first = await abortable(replayOf(group).read(after, signal, account), signal)
      return { kind: 'position', after, first }
    } catch (error) {
      if (!group.home.epoch.startsOverAfter(error)) throw error
    }
  }
  return { kind: 'state', held: await readState(group, owner, signal), isReset: after !== undefined }
}

/** @throws the errors of a snapshot, LimitExceeded if there is no room for the state, or the signal's reason */
async function readState(group: Group, owner: string | undefined, signal: AbortSignal): Promise<HeldState> {
  const state = await group.home.epoch.read(signal)
  return { state, release: holdInitialState(group.options.memory, state, owner).release }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof LimitExceeded && error.limit === 'maxClientMemory'
}
