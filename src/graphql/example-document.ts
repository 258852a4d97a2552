import { type GraphQLSchema, parse, validate } from 'graphql'
import { tableExample } from './table-example.js'

// GraphiQL shows about 50 characters of a line on a small screen.
const LIVE = `# A live query: its result, now and at each change.
`
const INSERT = `# Press the play button, then run in a terminal:
#   npx listenql sql "INSERT INTO people (name, age) VALUES ('Paul', 51)"
`
const ONCE = `# Write \`query\` for \`subscription\` to read it once.
`

/** Documents for the tables of the demo, the best one first. */
const DEMO: readonly string[] = [
  `${LIVE}${INSERT}#   npx listenql sql "INSERT INTO visits (person_id, place) SELECT pk, 'Library' FROM people"
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
  `${LIVE}${INSERT}${ONCE}subscription {
  people(orderBy: [{ pk: DESC }], limit: 5) {
    rows {
      name
      age
    }
  }
}
`,
]

const CHANNEL = `# Press the play button, then run in a terminal:
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
  if (table !== undefined) return `${LIVE}# Press the play button, then change a row.\n${ONCE}${table}\n`
  return demo ?? CHANNEL
}
