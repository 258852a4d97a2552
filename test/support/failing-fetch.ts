/** The global `fetch`, until its answers are that the database is away. */
export function failingFetch(): { readonly fetch: typeof globalThis.fetch; failures: number } {
  const failing = {
    /** How many requests from now on fail. */
    failures: 0,
    async fetch(...request: Parameters<typeof globalThis.fetch>): Promise<Response> {
      if (failing.failures === 0) return fetch(...request)
      failing.failures--
      const errors = [{ message: 'the database cannot be reached', extensions: { code: 'DATABASE_FAILED' } }]
      return Response.json({ data: null, errors })
    },
  }
  return failing
}
