import { graphqlUrl } from './endpoint.js'

// In single quotes, a shell changes nothing; only the single quote itself has to be escaped.
const single = text => `'${text.replaceAll("'", "'\\''")}'`
const double = text => `"${text.replaceAll(/[\\"$`]/g, '\\$&')}"`
const literal = text => `'${text.replaceAll("'", "''")}'`
const sql = statement => `npx listenql sql ${double(statement)}`
const curl = query =>
  `curl -N -G ${graphqlUrl()} -H 'accept: text/event-stream' --data-urlencode ${single(`query=${query}`)}`

/** Lines to try with a channel, each with a description. */
export function channelLines(channel) {
  return [
    ['Listen with curl', curl(`subscription { channel(name:${JSON.stringify(channel)}) { payload } }`)],
    ['Notify the channel', sql(`select pg_notify(${literal(channel)}, 'hello')`)],
  ]
}

/** Lines to try with a watched table. Only for the demo's tables does the page know what may be written. */
export function tableLines(table) {
  const { lines } = demo.find(one => isTable(table, one)) ?? { lines: [] }
  return [
    ...lines,
    ['Query it live with curl', curl(liveQueryFor(table))],
    ['Follow its changes with curl', curl(subscriptionFor(table))],
  ]
}

export const watchLines = [['Watch a table', 'npx listenql watch TABLE']]

const demo = [
  {
    name: 'people',
    columns: ['name', 'age', 'height'],
    lines: [
      ['Add a row', sql("INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)")],
      ['Change it', sql("UPDATE people SET age = age + 1 WHERE name = 'Paul'")],
      ['Delete it', sql("DELETE FROM people WHERE name = 'Paul'")],
    ],
  },
  {
    name: 'visits',
    columns: ['person_id', 'place'],
    lines: [
      [
        'Add a visit of each person',
        sql("INSERT INTO visits (person_id, place) SELECT pk, 'Library' FROM people"),
      ],
      ['Change them', sql("UPDATE visits SET place = 'Harbour'")],
    ],
  },
]

function isTable({ schema, name, columns }, one) {
  const has = new Set(columns.map(column => column.name))
  return schema === 'public' && name === one.name && one.columns.every(each => has.has(each))
}

function liveQueryFor({ queryField, columns }) {
  return `subscription { ${queryField}(limit: 10) { rows { ${fieldsOf(columns)} } } }`
}

function subscriptionFor({ subscriptionField, key, columns }) {
  const keys = key.length > 0 ? ` key { ${key.join(' ')} }` : ''
  return `subscription { ${subscriptionField} { operation${keys} row { ${fieldsOf(columns)} } } }`
}

const fieldsOf = columns =>
  columns
    .slice(0, 6)
    .map(({ field }) => field)
    .join(' ')
