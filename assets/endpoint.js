// All URLs are relative to the page, so that a base path and https need no configuration.
const listenUrl = name => new URL(`listen/${encodeURIComponent(name)}`, document.baseURI)

// The statuses after which a retry is pointless: the name of the channel or of this host is invalid or not allowed.
const final = [400, 401, 403, 404, 421]

export function socketUrl(name) {
  const url = listenUrl(name)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url
}

export const graphqlUrl = () => new URL('graphql', document.baseURI)

/** The problem with a name that the page can see by itself; undefined if there is none. */
export function badName(name) {
  if (new TextEncoder().encode(name).length > 63) return 'A channel name in Postgres has at most 63 bytes.'
  if (name === '.' || name === '..') return 'A URL cannot carry this name: use GraphQL to listen to it.'
  return undefined
}

/**
 * Asks over HTTP why the server did not open a WebSocket for this channel, because a browser does not tell the page.
 * Resolves with the message to display, and with `final`: whether a retry is pointless.
 */
export async function refusal(name) {
  try {
    const response = await fetch(listenUrl(name), { cache: 'no-store' })
    // 426 Upgrade Required: it would accept a WebSocket now.
    if (response.status === 426) return { final: false, text: 'The server did not open a WebSocket.' }
    const text = (await response.text()).trim() || `The server answered ${response.status}.`
    return { final: final.includes(response.status), text: text.slice(0, 500) }
  } catch {
    return { final: false, text: 'The server cannot be reached.' }
  }
}
