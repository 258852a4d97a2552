import { AWAY, ask } from './ask.js'
import { createCommands } from './commands.js'
import { isNewestFirst, shownColumns, tablesQuery } from './documents.js'
import { followTable, limit } from './follow.js'
import { putTableInHash, tableInHash } from './hash.js'
import { tableLines, watchLines } from './lines.js'
import { createTableView } from './table-view.js'
import { createTally } from './tally.js'

// The server has the list of watched tables in memory: asking for it costs no database query.
const interval = 5_000
const hiddenFor = 30_000

const byId = id => document.getElementById(id)
const without =
  'This table has no primary key, so a change cannot be matched to its row. These are the changes as they arrive, newest first.'

/** The panel of the watched tables: the list of tables, and the selected one, live. */
export function createTables() {
  const section = byId('tables')
  const picker = byId('pick-table')
  const lines = createCommands(byId('table-lines'), byId('copied'))
  const box = byId('table-box')
  let tables
  let known
  let current
  let asking
  let paused

  /** Asks for tables that were watched, unwatched or altered. Simultaneous calls share one answer. */
  function refresh() {
    asking ??= look().finally(() => {
      asking = undefined
    })
    return asking
  }

  async function look() {
    try {
      const { watchedTables } = await ask(tablesQuery)
      const text = JSON.stringify(watchedTables)
      if (text !== known) show(watchedTables)
      known = text
    } catch (error) {
      if (tables === undefined)
        status('waiting', error.code === AWAY ? 'Reconnecting…' : `${error.text} Trying again…`)
    }
    section.hidden = false
  }

  function show(found) {
    tables = found
    byId('no-tables').hidden = tables.length > 0
    byId('table').hidden = tables.length === 0
    showPicker()
    choose(tableInHash())
    if (tables.length > 0) return
    status('none', '')
    lines.show(watchLines)
  }

  function showPicker() {
    const choices = tables.map(table => choice(table, () => pick(table.queryField)))
    const hadFocus = picker.contains(document.activeElement)
    picker.hidden = tables.length < 2
    // Keep the legend.
    picker.replaceChildren(picker.firstElementChild, ...choices)
    if (hadFocus) setTimeout(() => picker.querySelector(':checked')?.focus())
  }

  function pick(field) {
    putTableInHash(field)
    choose(field)
  }

  function choose(field) {
    if (tables === undefined) return
    const chosen = tables.find(({ queryField }) => queryField === field) ?? tables[0]
    for (const input of picker.querySelectorAll('input')) input.checked = input.value === chosen?.queryField
    if (chosen !== undefined && JSON.stringify(chosen) === current?.text) return
    current?.stop()
    current = chosen === undefined ? undefined : open(chosen)
  }

  function open(table) {
    const view = createTableView(table, `Rows of ${nameOf(table)}, live`)
    const tally = createTally(byId('table-news'))
    let model
    let drawing
    byId('table-name').textContent = nameOf(table)
    byId('table-comment').textContent = table.comment ?? ''
    byId('table-reason').textContent = table.key.length === 0 ? without : ''
    box.replaceChildren(view.element)
    box.scrollTo(0, 0)
    byId('table-empty').hidden = true
    describe()
    lines.show(tableLines(table))

    function draw() {
      drawing = undefined
      view.draw(model.take())
      describe()
    }

    function describe() {
      byId('table-count').textContent = countOf(table, model, tally.changes)
      byId('table-more').textContent = moreOf(table, model)
      byId('table-empty').hidden = model === undefined || model.size > 0
      byId('table-empty').textContent =
        table.key.length === 0 ? 'No change yet.' : 'No rows. Add one, and it appears here at once.'
    }

    const following = followTable(table, {
      status,
      refresh,
      change: tally.add,
      changed(changed) {
        model = changed
        // One update per frame, whatever the rate.
        drawing ??= requestAnimationFrame(draw)
      },
    })
    return {
      ...following,
      text: JSON.stringify(table),
      stop() {
        following.stop()
        tally.stop()
        if (drawing !== undefined) cancelAnimationFrame(drawing)
      },
    }
  }

  function status(state, text) {
    section.dataset.state = state
    const element = byId('table-status')
    if (element.textContent !== text) element.textContent = text
  }

  function onVisible() {
    clearTimeout(paused)
    if (document.hidden) {
      // A browser opens six connections to a host for all tabs together: hidden tabs must not use them all.
      paused = setTimeout(() => {
        current?.pause()
        paused = undefined
      }, hiddenFor)
      return
    }
    if (paused === undefined) current?.resume()
    refresh()
  }

  // A box that scrolls must be reachable with the keyboard.
  box.tabIndex = 0
  document.addEventListener('visibilitychange', onVisible)
  addEventListener('hashchange', () => choose(tableInHash()))
  setInterval(() => document.hidden || refresh(), interval)
  refresh()
}

const nameOf = ({ schema, name }) => (schema === 'public' ? name : `${schema}.${name}`)

function choice(table, onPick) {
  const label = document.createElement('label')
  const input = document.createElement('input')
  input.type = 'radio'
  input.name = 'table'
  input.value = table.queryField
  input.onchange = onPick
  label.append(input, nameOf(table))
  return label
}

function countOf(table, model, changes) {
  if (model === undefined) return ''
  const seen = changes === 1 ? '1 change seen' : `${changes.toLocaleString()} changes seen`
  if (table.key.length === 0) return seen
  const rows = model.size === 1 ? '1 row' : `${model.size} rows`
  return `${model.hasMore ? `the first ${rows}` : rows}, ${seen}`
}

function moreOf(table, model) {
  const notes = []
  if (model?.hasMore) {
    const order = isNewestFirst(table) ? 'greatest first' : 'in order'
    notes.push(`These are ${limit} rows by key (${table.key.join(', ')}), ${order}. There are more.`)
  }
  if (table.key.length === 0 && model?.size === limit) notes.push(`These are the last ${limit} changes.`)
  const shown = shownColumns(table).length
  if (shown < table.columns.length) notes.push(`${shown} of ${table.columns.length} columns are shown.`)
  return notes.join(' ')
}
