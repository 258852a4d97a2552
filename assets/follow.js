import { AWAY, ask, dataOf } from './ask.js'
import { changesQuery, rowsQuery } from './documents.js'
import { openFeed } from './feed.js'
import { createLog } from './log.js'
import { createRows } from './rows.js'

const firstDelay = 500
const longestDelay = 15_000
const refillDelay = 2_000
// After this long without a failure, the next failure starts from the first delay again.
const goodAfter = 5_000
/** Errors after which reading the table again helps at once, the first time. */
const curable = ['CURSOR_EXPIRED', 'CURSOR_INVALID', 'SCHEMA_CHANGED', 'GRAPHQL_VALIDATION_FAILED']

export const limit = 100

/**
 * Follows one table: reads its rows, then applies its changes, and starts again whenever the changes cannot continue.
 * `on.changed(model)`: the model has something new to show. `on.change(operation)`: one change. `on.status(state, text)`: as for a
 * channel. `on.refresh()`: the table may have been altered; resolves when its new shape is known, and may have stopped this follower.
 */
export function followTable(table, on) {
  const isKeyed = table.key.length > 0
  const model = isKeyed ? createRows(table, limit) : createLog(limit)
  let controller = new AbortController()
  let feed
  let timer
  let failures = 0
  let liveSince
  let wasRead = false

  async function read(quietly = false) {
    clearTimeout(timer)
    timer = undefined
    controller.abort()
    controller = new AbortController()
    const { signal } = controller
    // The changes it would still deliver arrive again, after the cursor that is read now.
    feed?.close()
    feed = undefined
    if (!quietly) on.status('connecting', wasRead ? 'Reading the table again…' : 'Reading the table…')
    try {
      const data = await ask(rowsQuery(table, isKeyed ? limit + 1 : 0), signal)
      if (signal.aborted) return
      const { cursor, rows } = data[table.queryField]
      if (isKeyed) model.reset(rows)
      else if (wasRead) model.note('Changes may have been missed here.')
      wasRead = true
      on.changed(model)
      follow(cursor)
    } catch (error) {
      if (!signal.aborted) fail(error)
    }
  }

  function follow(cursor) {
    feed = openFeed(changesQuery(table), cursor, {
      live() {
        liveSince = Date.now()
        on.status('listening', 'Live')
      },
      waiting: () => on.status('waiting', 'Reconnecting…'),
      result,
    })
  }

  function result(received) {
    let change
    try {
      change = dataOf(received)[table.subscriptionField]
    } catch (error) {
      if (error.code !== 'EVENT_TOO_LARGE' || isKeyed) return fail(error)
      model.note(error.text)
      return on.changed(model)
    }
    model.apply(change)
    on.change(change.operation)
    on.changed(model)
    if (isKeyed && model.lacksRows && timer === undefined) timer = setTimeout(read, refillDelay, true)
  }

  async function fail({ code, text = 'Something went wrong on this page.' }) {
    feed?.close()
    feed = undefined
    clearTimeout(timer)
    if (Date.now() - liveSince > goodAfter) failures = 0
    liveSince = undefined
    const atOnce = failures === 0 && curable.includes(code)
    const delay = Math.min(longestDelay, firstDelay * 2 ** failures) * (0.5 + Math.random() / 2)
    failures += 1
    const { signal } = controller
    if (code === AWAY) on.status('waiting', 'Reconnecting…')
    else if (!atOnce) on.status('waiting', `${text} Trying again…`)
    if (code !== AWAY) await on.refresh()
    if (!signal.aborted) timer = setTimeout(read, atOnce ? 0 : delay)
  }

  function stop() {
    clearTimeout(timer)
    timer = undefined
    controller.abort()
    feed?.close()
  }

  read()
  return {
    stop,
    /** Stops while the tab is hidden. */
    pause: stop,
    /** Reads a list again; a log resumes after its last change. */
    resume() {
      controller = new AbortController()
      if (isKeyed || feed === undefined) read(true)
      else follow(feed.position)
    },
  }
}
