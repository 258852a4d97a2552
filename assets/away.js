const interval = 5_000
const url = () => new URL('readyz', document.baseURI)

/** Shows a warning while the database cannot be reached, because the page may then be out of date. */
export function createAway(element) {
  async function look() {
    let isAway = false
    try {
      const response = await fetch(url(), { cache: 'no-store' })
      isAway = response.status === 503 && (await response.json()).database === 'unreachable'
    } catch {
      // The server itself cannot be reached, which every table and channel reports by itself.
    }
    element.hidden = !isAway
  }

  document.addEventListener('visibilitychange', () => document.hidden || look())
  setInterval(() => document.hidden || look(), interval)
  look()
}
