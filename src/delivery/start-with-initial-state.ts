import { abortable, delay } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import { isStartOver, type Position, START_OVER } from '../log/position.js'
import type { InitialState, InitialStateReader } from '../sources/initial-state.js'
import type { Replay, ReplayPage } from '../sources/resume.js'
import { catchUp, RENDER_AHEAD_BYTES } from './catch-up.js'
import { type Group, replayOf } from './group.js'
import { holdInitialState } from './held-initial-states.js'
import { FrameStream } from './stream.js'
import { Subscriber } from './subscriber.js'
import type { SubscriberOptions } from './subscription.js'

/** Where a subscriber starts: with the present state, after a reset or not, or after its position. */
type Start =
  | { readonly kind: 'state'; state: InitialState<unknown>; readonly isReset: boolean }
  | { readonly kind: 'position'; readonly after: Position; readonly first: ReplayPage<unknown> }

/** Shortest time from one reset of a subscriber to the next, in ms. */
const AGAIN_MS = 1000

/** How often, and after which pause in ms, the state is read again while a change of the schema comes into force. */
const SCHEMA_TRIES = 40
const RETRY_MS = 50
/** Longest pause, while the database is away. */
const MAX_RETRY_MS = 5000

/**
 * A subscriber that begins with the present state: it gets the state, then the changes after it from the log, then the stream of its
 * group. Where it would miss changes, because its position has expired or the history of its group has ended, it gets a reset and
 * begins again. It gets each change exactly once, since the state is exact at a position.
 * @returns once the state, or the first page after the subscriber's position, has been read
 */
export async function startWithInitialState(
  group: Group,
  { id, outbound, after, account, owner }: SubscriberOptions,
  signal: AbortSignal,
): Promise<Subscriber> {
  const { memory, observe, scheduler } = group.options
  const start = await firstStart(group, after, account, signal)
  let own = new FrameStream(memory.wait)
  const subscriber = new Subscriber(id, own, start.kind === 'position' ? start.after : START_OVER, account)
  group.home.fanOut.subscribers.set(subscriber, outbound)
  let resetAt = Number.NEGATIVE_INFINITY

  const notify = () => outbound.notify(subscriber)
  const push = (event: unknown) => own.push(group.home.fanOut.replayed(event))

  /** Renders the state as fast as the subscriber takes it, in the time that live events leave. */
  async function pushState({ state, isReset }: Start & { kind: 'state' }): Promise<void> {
    if (isReset) push(initialStateOf(group).reset())
    const { events } = state
    for (let at = 0; at < events.length && !signal.aborted; ) {
      const { end } = group.home
      if (end) throw end // as when the right to the rows has been lost
      const from = own.tail.end
      await new Promise<void>((resolve, reject) => {
        const work = () => {
          try {
            while (at < events.length && own.tail.end - from < RENDER_AHEAD_BYTES) {
              push(events[at++])
              if (scheduler.isOver) break
            }
          } catch (error) {
            return reject(error)
          }
          if (at < events.length && own.tail.end - from < RENDER_AHEAD_BYTES) scheduler.spare(work)
          else resolve()
        }
        scheduler.spare(work)
      })
      notify()
      if (at < events.length) await abortable(subscriber.taken(), signal)
    }
  }

  async function follow(from: Start): Promise<void> {
    const held = from.kind === 'state' ? holdInitialState(memory, from.state, owner) : undefined
    try {
      if (from.kind === 'state') {
        await pushState(from)
        from.state = { ...from.state, events: [] } // so that the rows are not kept while the subscriber catches up
      }
    } finally {
      held?.release()
    }
    if (signal.aborted) return
    await catchUp({
      replay: () => ofEpoch(group),
      after: from.kind === 'state' ? from.state.position : from.after,
      first: from.kind === 'position' ? from.first : undefined,
      own,
      group() {
        subscriber.onHistoryEnd = onHistoryEnd
        return group.home.fanOut.flushed()
      },
      subscriber,
      push,
      notify,
      account,
      signal,
    })
    // The group may have ended before this subscriber joined its stream, so that the final frame is not in what it still takes.
    const { end } = group.home
    if (end && !signal.aborted) group.expel(subscriber, outbound, end)
  }

  /** Follows until the subscriber has joined its group, as often as it has to begin again. Never rejects. */
  async function run(first: Start | undefined): Promise<void> {
    for (let from = first; ; from = undefined) {
      try {
        const next = from ?? (await nextStart())
        if (signal.aborted) return
        await follow(next)
        return
      } catch (error) {
        if (signal.aborted) return
        if (!initialStateOf(group).startsOverAfter(error)) return finish(error)
      }
    }
  }

  async function nextStart(): Promise<Start> {
    await delay(Math.max(0, resetAt + AGAIN_MS - performance.now()), signal)
    const state = await readAgain(group, signal)
    resetAt = performance.now()
    return { kind: 'state', state, isReset: true }
  }

  function onHistoryEnd(): void {
    subscriber.onHistoryEnd = undefined
    own = new FrameStream(memory.wait)
    subscriber.leaveFor(own)
    void run(undefined)
  }

  function finish(error: unknown): void {
    const isKnown = error instanceof ListenqlError
    if (!isKnown)
      observe({ type: 'fault', id: 'beginning', message: 'a subscription could not begin', error })
    own.push(
      group.finalFrame(
        isKnown ? error : new ListenqlError('DATABASE_FAILED', 'the event log could not be read'),
      ),
    )
    notify()
  }

  void run(start)
  return subscriber
}

async function firstStart(
  group: Group,
  after: Position | undefined,
  account: SubscriberOptions['account'],
  signal: AbortSignal,
): Promise<Start> {
  if (after && !isStartOver(after)) {
    try {
      const first = await abortable(ofEpoch(group).read(after, signal, account), signal)
      return { kind: 'position', after, first }
    } catch (error) {
      if (!initialStateOf(group).startsOverAfter(error)) throw error
    }
  }
  const state = await abortable(initialStateOf(group).read(signal), signal)
  return { kind: 'state', state, isReset: after !== undefined }
}

/** Reads the state for subscribers whose history has ended; the schema may be about to change, and the database may be away. */
async function readAgain(group: Group, signal: AbortSignal): Promise<InitialState<unknown>> {
  for (let attempt = 1; ; attempt++) {
    const { end } = group.home
    if (end) throw end
    try {
      await abortable(group.home.opened, signal)
      return await abortable(initialStateOf(group).read(signal), signal)
    } catch (error) {
      const mayHeal =
        error instanceof ListenqlError &&
        (error.code === 'DATABASE_FAILED' || (error.code === 'SCHEMA_CHANGED' && attempt < SCHEMA_TRIES))
      if (signal.aborted || !mayHeal) throw error
      await delay(Math.min(MAX_RETRY_MS, RETRY_MS * attempt), signal)
    }
  }
}

function initialStateOf(group: Group): InitialStateReader<unknown> {
  const { source } = group.home
  if (!source.initialState) throw new TypeError('the source does not begin with the present state')
  return source.initialState
}

/**
 * The past of the group's present source. A page that was read in another epoch of the group belongs to another history: a subscriber
 * does not join after it, nor while the source is being opened again.
 */
function ofEpoch(group: Group): Replay<unknown> {
  const replay = replayOf(group)
  return {
    position: () => replay.position(),
    start: () => replay.start(),
    seam: () => replay.seam(),
    split: at => replay.split?.(at),
    history: group.home.isOpen ? group.home.epoch : undefined,
    async read(after, signal, account) {
      const history = group.home.epoch
      const page = await replay.read(after, signal, account)
      return { ...page, history }
    },
  }
}
