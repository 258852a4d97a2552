import { type GraphQLSchema, parse, validate } from 'graphql'
import { tableExample } from './table-example.js'

// A phone shows 32 characters of a line. The commands are longer: they are there to be copied.
const LIVE = `# A live query. Press the play
# button, then change the data`
const INSERT = `${LIVE}:
#   npx listenql sql "INSERT INTO people (name, age) VALUES ('Paul', 51)"
`
const ONCE = `# To read it once, write \`query\`
# in place of \`subscription\`.
`

/** Documents for the tables of the demo, the best one first. */
const DEMO: readonly string[] = [
  `${INSERT}#   npx listenql sql "INSERT INTO visits (person_id, place) SELECT pk, 'Library' FROM people"
${ONCE}subscription {
  people(orderBy: [{ pk: DESC }], limit: 5) {
    rows {
      name
      age
      visits(orderBy: [{ pk: DESC }], limit: 3) {
        place
      }
      visitsAggregate {
        count
      }
    }
  }
}
`,
  `${INSERT}${ONCE}subscription {
  people(orderBy: [{ pk: DESC }], limit: 5) {
    rows {
      name
      age
    }
  }
}
`,
]

const CHANNEL = `# Press the play button, then
# run in a terminal:
#   npx listenql sql "NOTIFY people, 'hello'"
subscription {
  channel(name: "people") {
    payload
    json
    gap
    at
  }
}
`

/**
 * The document that GraphiQL opens with: a live query of a watched table, or of the demo where no other table is watched, or else a
 * channel.
 */
export function exampleDocument(schema: GraphQLSchema): string {
  const demo = DEMO.find(text => validate(schema, parse(text)).length === 0)
  const table = tableExample(schema, demo === undefined ? [] : ['people', 'visits'])
  if (table !== undefined) return `${LIVE}.\n${ONCE}${table}\n`
  return demo ?? CHANNEL
}
