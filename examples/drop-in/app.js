const EVENTS = 10

const [status, table, list] = ['output', 'tbody', 'ol'].map(name => document.querySelector(name))
let people = new Map()

/**
 * NOTIFY keeps nothing for a page that is not connected. So each connection listens first and then reads the rows: the rows have
 * every change before that, and the events that have arrived in the meantime are applied to the rows. The server closes the
 * connection when it may have missed notifications itself.
 */
function connect() {
  const socket = new WebSocket('/listen/people')
  const opened = new Promise(resolve => {
    socket.onopen = resolve
  })
  const ready = opened.then(() => readRows(socket))
  ready.catch(() => socket.close())
  socket.onmessage = ({ data }) => ready.then(() => take(data)).catch(console.error)
  socket.onclose = () => {
    status.textContent = 'offline'
    setTimeout(connect, 500 + 1000 * Math.random())
  }
  window.onoffline = () => socket.close()
}

async function readRows(socket) {
  const response = await fetch('/api/people')
  const rows = await response.json()
  // The next connection reads them again; rows that arrive late must not replace those.
  if (socket.readyState !== WebSocket.OPEN) throw new Error('the connection was lost')
  people = new Map(rows.map(person => [person.pk, person]))
  status.textContent = 'live'
  show()
}

/** Applies a payload of the triggers in schema.sql. */
function take(payload) {
  const event = document.createElement('li')
  event.textContent = payload
  list.prepend(event)
  list.children[EVENTS]?.remove()

  const { dml_action, dml_table, ...person } = JSON.parse(payload)
  if (dml_table !== 'people') return
  if (dml_action === 'DELETE') people.delete(person.pk)
  else people.set(person.pk, person)
  show(person.pk)
}

function show(changed) {
  const rows = [...people.values()].sort((a, b) => a.pk - b.pk)
  table.replaceChildren(...rows.map(person => rowOf(person, person.pk === changed)))
}

function rowOf({ pk, name, age, height, ts }, isChanged) {
  const row = document.createElement('tr')
  for (const value of [pk, name, age, height, new Date(ts).toLocaleTimeString()])
    row.insertCell().textContent = value
  row.classList.toggle('changed', isChanged)
  return row
}

connect()
