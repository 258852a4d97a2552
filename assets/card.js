import { pretty } from './pretty.js'

const kept = 200
const longest = 100_000
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })

/**
 * The card of one channel. `on.toggle()` and `on.remove()` are its two buttons.
 * Everything from the database is shown with textContent, never as markup.
 */
export function createCard(name, on) {
  const element = document.querySelector('#card').content.firstElementChild.cloneNode(true)
  const part = selector => element.querySelector(selector)
  const heading = part('h3')
  const status = part('.status')
  const count = part('.count')
  const toggle = part('.toggle')
  const remove = part('.remove')
  const list = part('.payloads')
  let received = 0
  let waiting = []
  let scheduled = false

  heading.textContent = name
  element.setAttribute('aria-label', `Channel ${name}`)
  // A box that scrolls must be reachable with the keyboard.
  list.tabIndex = 0
  list.setAttribute('aria-label', `Payloads of ${name}, newest first`)
  remove.setAttribute('aria-label', `Remove ${name}`)
  toggle.onclick = on.toggle
  remove.onclick = on.remove
  render()

  // One update per frame, whatever the rate. The queue is bounded, because a hidden tab gets no frames.
  function add(item) {
    waiting.push(item)
    if (waiting.length > kept) waiting.shift()
    if (!scheduled) requestAnimationFrame(render)
    scheduled = true
  }

  function render() {
    scheduled = false
    for (const { text, at } of waiting) {
      if (at !== undefined) list.prepend(payloadItem(text, at))
      else if (list.firstElementChild?.textContent !== text) list.prepend(gapItem(text))
    }
    waiting = []
    while (list.childElementCount > kept) list.lastElementChild.remove()
    count.textContent = received === 1 ? '1 message' : `${received.toLocaleString()} messages`
  }

  return {
    element,
    payload(text) {
      received += 1
      add({ text, at: new Date() })
    },
    gap(text) {
      add({ text })
    },
    status(state, text) {
      element.dataset.state = state
      status.textContent = text
      const connected = state !== 'off' && state !== 'refused'
      toggle.textContent = connected ? 'Disconnect' : 'Connect'
      toggle.setAttribute('aria-label', `${toggle.textContent} ${name}`)
    },
  }
}

function payloadItem(text, at) {
  const item = document.createElement('li')
  const time = document.createElement('time')
  const body = document.createElement('pre')
  time.dateTime = at.toISOString()
  time.textContent = clock.format(at)
  body.textContent = text === '' ? '(empty)' : shown(text)
  if (text === '') body.className = 'empty'
  item.append(time, body)
  return item
}

function shown(text) {
  if (text.length <= longest) return pretty(text)
  return `${text.slice(0, longest)}\n… ${(text.length - longest).toLocaleString()} more characters are not shown`
}

function gapItem(text) {
  const item = document.createElement('li')
  item.className = 'gap'
  item.textContent = text
  return item
}
