const interval = 5_000
const url = () => new URL('readyz', document.baseURI)

/** Says on the page when the database cannot be reached: what is shown then may be out of date. It goes when that is over. */
export function createAway(element) {
  async function look() {
    let isAway = false
    try {
      const response = await fetch(url(), { cache: 'no-store' })
      isAway = response.status === 503 && (await response.json()).database === 'unreachable'
    } catch {
      // The server itself is away, which every table and channel says for itself.
    }
    element.hidden = !isAway
  }

  document.addEventListener('visibilitychange', () => document.hidden || look())
  setInterval(() => document.hidden || look(), interval)
  look()
}
