/** The channels in the page's address, `#people,chat`, so that a reload keeps them. */
export function channelsInHash() {
  const names = location.hash.slice(1).split(',').map(decoded)
  return [...new Set(names.filter(name => name !== ''))]
}

export function putInHash(names) {
  const hash = names.map(encodeURIComponent).join(',')
  // replaceState: neither an entry in the history nor a hashchange event.
  history.replaceState(null, '', hash === '' ? location.pathname + location.search : `#${hash}`)
}

function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
