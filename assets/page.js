import { createAway } from './away.js'
import { createCard } from './card.js'
import { createChannel } from './channel.js'
import { createCommands } from './commands.js'
import { badName } from './endpoint.js'
import { channelsInHash, putInHash } from './hash.js'
import { channelLines } from './lines.js'
import { createTables } from './tables.js'

const interrupted = 'connection was interrupted here: notifications may have been missed'
const disconnected = 'disconnected here: notifications since then were not received'

const byId = id => document.getElementById(id)
const box = byId('channel')
const error = byId('channel-error')
const cards = byId('channels')
const commands = createCommands(byId('commands'), byId('copied'))
const open = new Map()

function add(name) {
  const card = createCard(name, { toggle, remove: () => remove(name) })
  let connected = false
  const channel = createChannel(name, {
    payload: card.payload,
    gap: () => card.gap(interrupted),
    status(state, text) {
      connected = state !== 'off' && state !== 'refused'
      card.status(state, text)
    },
  })
  function toggle() {
    if (connected) {
      channel.disconnect()
      card.gap(disconnected)
    } else channel.connect()
  }
  open.set(name, { channel, card, reconnect: () => connected || channel.connect() })
  cards.append(card.element)
  channel.connect()
}

function remove(name) {
  const { channel, card } = open.get(name)
  channel.disconnect()
  card.element.remove()
  open.delete(name)
  changed()
  box.focus()
}

function changed() {
  byId('no-channels').hidden = open.size > 0
  putInHash([...open.keys()])
  commands.show(channelLines([...open.keys()].at(-1) ?? 'people'))
}

function follow(names) {
  for (const name of names) if (badName(name) === undefined && !open.has(name)) add(name)
  for (const name of open.keys()) if (!names.includes(name)) remove(name)
  changed()
}

byId('connect').addEventListener('submit', event => {
  event.preventDefault()
  const name = box.value.trim()
  const wrong = name === '' ? 'Enter a channel name.' : badName(name)
  error.textContent = wrong ?? ''
  box.setAttribute('aria-invalid', String(wrong !== undefined))
  if (wrong !== undefined) return
  if (open.has(name)) open.get(name).reconnect()
  else add(name)
  changed()
  box.value = ''
})

addEventListener('hashchange', () => follow(channelsInHash()))

follow(channelsInHash())
if (open.size === 0) box.value = 'people'
createAway(byId('away'))
createTables()
