import { graphqlUrl } from './endpoint.js'

// In single quotes a shell changes nothing; only the single quote itself needs care.
const single = text => `'${text.replaceAll("'", "'\\''")}'`
const double = text => `"${text.replaceAll(/[\\"$`]/g, '\\$&')}"`
const literal = text => `'${text.replaceAll("'", "''")}'`

function linesFor(channel) {
  const query = `subscription { channel(name:${JSON.stringify(channel)}) { payload } }`
  const curl = `curl -N -G ${graphqlUrl()} -H 'accept: text/event-stream' --data-urlencode ${single(`query=${query}`)}`
  const insert = "INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)"
  const notify = `select pg_notify(${literal(channel)}, 'hello')`
  return [
    ['Listen with curl', curl],
    ['Make an event: add a row to the demo table people', `npx listenql sql ${double(insert)}`],
    ['Or notify any channel', `npx listenql sql ${double(notify)}`],
  ]
}

/** Shows the lines to try in a terminal, each with a button that copies it. */
export function createCommands(list, announcer) {
  const copy = async (label, code) => {
    try {
      await navigator.clipboard.writeText(code.textContent)
      announcer.textContent = `Copied: ${label}`
    } catch {
      // Outside of https and localhost there is no clipboard: select the line, so that one key copies it.
      getSelection().selectAllChildren(code)
      announcer.textContent = 'Selected. Press Ctrl+C to copy.'
    }
  }

  const show = channel => {
    const items = linesFor(channel).map(([label, line]) => {
      const item = document.createElement('li')
      const title = document.createElement('h3')
      const code = document.createElement('code')
      const button = document.createElement('button')
      title.textContent = label
      code.textContent = line
      code.tabIndex = 0
      button.type = 'button'
      button.textContent = 'Copy'
      button.setAttribute('aria-label', `Copy: ${label}`)
      button.onclick = async () => {
        await copy(label, code)
        button.textContent = announcer.textContent.startsWith('Copied') ? 'Copied' : 'Selected'
        setTimeout(() => {
          button.textContent = 'Copy'
        }, 1500)
      }
      item.append(title, code, button)
      return item
    })
    list.replaceChildren(...items)
  }

  return { show }
}
