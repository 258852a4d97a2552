// The page's address names what the page shows, so that a reload keeps it: `#people,chat&table=orders` has two channels and the
// table with the query field `orders`. Channel names are encoded, so a comma or & in them does not separate.
const shape = /^#?(.*?)(?:&table=([^&]*))?$/s

/** The channels in the page's address. */
export function channelsInHash() {
  const names = parts().channels.split(',').map(decoded)
  return [...new Set(names.filter(name => name !== ''))]
}

/** The query field of the table in the page's address; undefined if there is none. */
export function tableInHash() {
  const { table } = parts()
  return table === undefined ? undefined : decoded(table)
}

export function putInHash(names) {
  put(names.map(encodeURIComponent).join(','), parts().table)
}

export function putTableInHash(field) {
  put(parts().channels, encodeURIComponent(field))
}

function parts() {
  const [, channels, table] = shape.exec(location.hash)
  return { channels, table }
}

function put(channels, table) {
  const hash = table === undefined ? channels : `${channels}&table=${table}`
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
