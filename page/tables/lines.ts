import type { WatchedTable } from './watched-table.js'

/** A line to try in a terminal. */
export interface Line {
  readonly label: string
  readonly text: string
}

// In single quotes, a shell changes nothing; only the single quote itself has to be escaped.
const single = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
const double = (text: string) => `"${text.replaceAll(/[\\"$`]/g, '\\$&')}"`
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`
const sql = (statement: string) => `npx listenql sql ${double(statement)}`

/** A subscription over Server-Sent Events. @param isSignedIn adds a header with a variable: a copied line never contains the token */
export function curlLine(url: string, document: string, isSignedIn: boolean): string {
  const token = isSignedIn ? ` -H "authorization: Bearer $TOKEN"` : ''
  return `curl -N -G ${url} -H 'accept: text/event-stream'${token} --data-urlencode ${single(`query=${document}`)}`
}

export const channelDocument = (channel: string) =>
  `subscription { channel(name: ${JSON.stringify(channel)}) { payload } }`

export const notifyLine = (channel: string) => sql(`select pg_notify(${literal(channel)}, 'hello')`)

export const WATCH_LINE: Line = { label: 'Watch a table', text: 'npx listenql watch TABLE' }

/** Lines that write. Only for the demo's tables does the page know what may be written. */
export function writingLines(table: WatchedTable): readonly Line[] {
  return DEMO.find(one => isTable(table, one))?.lines ?? []
}

const DEMO = [
  {
    name: 'people',
    columns: ['name', 'age', 'height'],
    lines: [
      { label: 'Add a row', text: sql("INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)") },
      { label: 'Change it', text: sql("UPDATE people SET age = age + 1 WHERE name = 'Paul'") },
      { label: 'Delete it', text: sql("DELETE FROM people WHERE name = 'Paul'") },
    ],
  },
  {
    name: 'visits',
    columns: ['person_id', 'place'],
    lines: [
      {
        label: 'Add a visit of each person',
        text: sql("INSERT INTO visits (person_id, place) SELECT pk, 'Library' FROM people"),
      },
      { label: 'Change them', text: sql("UPDATE visits SET place = 'Harbour'") },
    ],
  },
]

function isTable({ schema, name, columns }: WatchedTable, one: (typeof DEMO)[number]): boolean {
  const has = new Set(columns.map(column => column.name))
  return schema === 'public' && name === one.name && one.columns.every(each => has.has(each))
}
