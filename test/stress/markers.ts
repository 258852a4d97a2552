import type { Query } from './database.js'
import type { Row, Seen } from './topics.js'

export type Marker = Pick<Seen, 'operation' | 'key' | 'row' | 'old'>

/** Rows chosen so that each view shows some of them. */
const PEOPLE_ROWS: readonly Row[] = [0, 1, 2, 3, 5, 7].flatMap(team => [
  { team, name: 'zoe', score: null },
  { team, name: 'ann', score: '99.00' },
])
const ORDER_ROWS: readonly Row[] = ['north', 'east'].map(shop => ({ shop, state: 'open', amount: '150.00' }))

/**
 * Writes the end of a round: changes that every client can wait for, each in its own transaction, on a connection that chaos does
 * not kill. They leave the tables as they were. @returns the changes by topic
 */
export async function writeMarkers(
  query: Query,
  round: number,
): Promise<ReadonlyMap<string, readonly Marker[]>> {
  const base = round * 1000 + 1_000_000
  const people: Marker[] = []
  for (const [i, { team, name, score }] of PEOPLE_ROWS.entries()) {
    const pk = base + i
    const row = { pk, team, name, score }
    await query('insert into people (pk, name, team, score) values ($1, $2, $3, $4)', [pk, name, team, score])
    await query('update people set name = name where pk = $1', [pk])
    await query('delete from people where pk = $1', [pk])
    people.push(...lifeOf(String(pk), row))
  }
  const orders: Marker[] = []
  for (const { shop, state, amount } of ORDER_ROWS) {
    const row = { shop, no: base, state, amount }
    await query('insert into orders values ($1, $2, $3, $4)', [shop, base, state, amount])
    await query('update orders set state = state where shop = $1 and no = $2', [shop, base])
    await query('delete from orders where shop = $1 and no = $2', [shop, base])
    orders.push(...lifeOf(`${shop}/${base}`, row))
  }
  const markers = new Map([
    ['people', people],
    ['orders', orders],
  ])
  for (const channel of ['news', 'rare']) {
    await query('select tell($1, 0)', [channel])
    const [note] = await query<{ key: string }>(
      `select key from audit where topic = $1 order by id desc limit 1`,
      [channel],
    )
    markers.set(channel, [{ operation: 'N', key: note?.key ?? '', row: null, old: null }])
  }
  return markers
}

function lifeOf(key: string, row: Row): Marker[] {
  return [
    { operation: 'I', key, row, old: null },
    { operation: 'U', key, row, old: row },
    { operation: 'D', key, row: null, old: row },
  ]
}
