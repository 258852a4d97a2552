import pg from 'pg'

/** Feeds the servers that do not listen by themselves. */
export async function followChannel(
  url: string,
  channel: string,
  take: (channel: string, payload: string) => void,
): Promise<void> {
  const client = new pg.Client(url)
  client.on('notification', ({ channel: name, payload = '' }) => take(name, payload))
  client.on('error', () => undefined) // the events that are missing show
  await client.connect()
  await client.query(`listen ${pg.escapeIdentifier(channel)}`)
}
