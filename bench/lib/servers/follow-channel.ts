import pg from 'pg'

/** Feeds notifications to the servers that have no LISTEN connection of their own. */
export async function followChannel(
  url: string,
  channel: string,
  take: (channel: string, payload: string) => void,
): Promise<void> {
  const client = new pg.Client(url)
  client.on('notification', ({ channel: name, payload = '' }) => take(name, payload))
  client.on('error', () => undefined) // missing events show in the result
  await client.connect()
  await client.query(`listen ${pg.escapeIdentifier(channel)}`)
}
