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

/** Lines to try with a watched table. Only for the demo's table does the page know what may be written. */
export function tableLines(table) {
  return [...(isDemo(table) ? demo : []), ['Follow it with curl', curl(subscriptionFor(table))]]
}

export const watchLines = [['Watch a table', 'npx listenql watch TABLE']]

const demo = [
  ['Add a row', sql("INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)")],
  ['Change it', sql("UPDATE people SET age = age + 1 WHERE name = 'Paul'")],
  ['Delete it', sql("DELETE FROM people WHERE name = 'Paul'")],
]

function isDemo({ schema, name, columns }) {
  const has = new Set(columns.map(column => column.name))
  return schema === 'public' && name === 'people' && ['name', 'age', 'height'].every(each => has.has(each))
}

function subscriptionFor({ subscriptionField, key, columns }) {
  const some = columns.slice(0, 6).map(({ field }) => field)
  const keys = key.length > 0 ? ` key { ${key.join(' ')} }` : ''
  return `subscription { ${subscriptionField} { operation${keys} row { ${some.join(' ')} } } }`
}
