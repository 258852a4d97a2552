/** Shows lines to try in a terminal, each with a button that copies it. */
export function createCommands(list, announcer) {
  const copy = async (label, code) => {
    try {
      await navigator.clipboard.writeText(code.textContent)
      announcer.textContent = `Copied: ${label}`
    } catch {
      // Outside of https and localhost, the clipboard is not available: select the line, so that one key copies it.
      getSelection().selectAllChildren(code)
      announcer.textContent = 'Selected. Press Ctrl+C to copy.'
    }
  }

  /** `lines`: pairs of a description and a line. */
  const show = lines => {
    const items = lines.map(([label, line]) => {
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
