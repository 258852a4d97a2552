/** What is wrong with a name that the page can see by itself; undefined: nothing. */
export function problemOf(name: string): string | undefined {
  if (name === '') return 'Enter a channel name.'
  if (new TextEncoder().encode(name).length > 63) return 'A channel name in Postgres has at most 63 bytes.'
  return undefined
}
