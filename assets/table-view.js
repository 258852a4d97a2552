import { shownValue } from './cell.js'
import { bareType, shownColumns } from './documents.js'

const leaving = 700
const most = 200
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })
const numeric = ['Int', 'BigInt', 'Decimal', 'Float']
const words = { INSERT: 'inserted', UPDATE: 'updated', DELETE: 'deleted', TRUNCATE: 'emptied' }

/**
 * The rows of a model as a table, drawn once per frame, however many changes there were. New and changed cells are highlighted for a
 * moment, and removed rows fade out. Everything from the database is shown with textContent, never as markup.
 */
export function createTableView(table, caption) {
  const element = document.createElement('table')
  const body = document.createElement('tbody')
  const columns = shownColumns(table)
  const isLog = table.key.length === 0
  const shown = new Map()
  let wasDrawn = false
  element.append(captionOf(caption), head(columns, table, isLog), body)

  function draw({ items, removed }) {
    const ids = new Set(items.map(({ id }) => id))
    for (const [id, row] of shown) if (!ids.has(id)) take(id, row, removed.has(id))
    let place = body.firstElementChild
    for (const item of items) {
      const row = shown.get(item.id) ?? make(item)
      if (row.item !== item) update(row, item)
      while (place?.classList.contains('gone')) place = place.nextElementSibling
      if (row.element === place) place = place.nextElementSibling
      else body.insertBefore(row.element, place)
    }
    wasDrawn = true
  }

  function make(item) {
    const row = { element: document.createElement('tr'), cells: [], item }
    shown.set(item.id, row)
    if (item.note !== undefined) {
      row.element.append(wide(item.note, 'note'))
      return row
    }
    if (isLog) row.element.append(...about(item))
    if (item.operation === 'TRUNCATE') row.element.append(wide('the whole table', 'soft', columns.length))
    else row.cells = columns.map(column => cell(column, item.row))
    row.element.append(...row.cells)
    if (item.operation !== undefined) row.element.dataset.operation = item.operation
    if (wasDrawn) row.element.dataset.light = 'fresh'
    return row
  }

  function update(row, item) {
    const isSame = row.item.row === item.row
    row.item = item
    if (isSame) return
    const changed = row.cells.filter((each, index) => fill(each, item.row, columns[index]))
    // An UPDATE that changes no visible cell is still a change of the row.
    for (const each of changed.length > 0 ? changed : row.cells) light(each)
  }

  function take(id, { element: gone }, isRemoved) {
    shown.delete(id)
    if (!isRemoved || body.querySelectorAll('.gone').length >= most) return gone.remove()
    gone.className = 'gone'
    setTimeout(() => gone.remove(), leaving)
  }

  function cell(column, values) {
    const made = document.createElement(column.isKey ? 'th' : 'td')
    if (column.isKey) made.scope = 'row'
    fill(made, values, column)
    if (numeric.includes(bareType(column)) && !column.type.startsWith('[')) made.classList.add('right')
    return made
  }

  return { element, draw }
}

/** Puts a row's value into its cell; returns whether that changed it. */
function fill(cell, values, { field, type }) {
  const { kind, text, title } = shownValue(values?.[field], type)
  // The title has the full text of a value that the cell cuts.
  if (cell.textContent === text && cell.title === title && cell.dataset.kind === kind) return false
  cell.textContent = text
  cell.dataset.kind = kind
  // Cutting costs the browser work in every frame, so it is enabled only where it may be needed.
  cell.classList.toggle('cut', title !== '' && kind !== 'moment')
  if (title === '') cell.removeAttribute('title')
  else cell.title = title
  return true
}

/** An animation restarts only under another name. */
function light(element) {
  element.dataset.light = element.dataset.light === 'changed-a' ? 'changed-b' : 'changed-a'
}

function about({ operation, at }) {
  const time = document.createElement('td')
  const what = document.createElement('td')
  const date = new Date(at)
  time.textContent = Number.isNaN(date.getTime()) ? at : clock.format(date)
  time.title = at
  what.textContent = words[operation] ?? operation
  what.className = 'operation'
  return [time, what]
}

function wide(text, className, span) {
  const made = document.createElement('td')
  // A span larger than the number of columns covers all of them.
  made.colSpan = span ?? 1000
  made.className = className
  made.textContent = text
  return made
}

function captionOf(text) {
  const caption = document.createElement('caption')
  caption.className = 'visually-hidden'
  caption.textContent = text
  return caption
}

function head(columns, table, isLog) {
  const made = document.createElement('thead')
  const row = made.insertRow()
  if (isLog) row.append(heading('time'), heading('change'))
  for (const column of columns) {
    const { name, field, type, isKey, comment } = column
    const made = heading(name)
    if (isKey) made.append(' ', keyMark(table))
    const graphql = `${field}: ${type}`
    made.title = comment === null ? graphql : `${graphql}\n${comment}`
    made.classList.toggle('commented', comment !== null)
    made.classList.toggle('right', numeric.includes(type.replace('!', '')))
    row.append(made)
  }
  return made
}

function heading(text) {
  const made = document.createElement('th')
  const name = document.createElement('span')
  made.scope = 'col'
  name.textContent = text
  made.append(name)
  return made
}

function keyMark({ key }) {
  const made = document.createElement('small')
  made.textContent = 'key'
  made.title = key.length > 1 ? `Part of the primary key (${key.join(', ')})` : 'The primary key'
  return made
}
