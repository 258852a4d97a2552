import { type GraphQLSchema, parse, validate } from 'graphql'

// GraphiQL shows about 50 characters of a line on a small screen.
const LIVE = `# A live query: its result, now and at each change.
# Press the play button, then run in a terminal:
#   npx listenql sql "INSERT INTO people (name, age) VALUES ('Paul', 51)"
`
const ONCE = `# Write \`query\` for \`subscription\` to read it once.
`

/** The documents that GraphiQL may open with, the best one first. The last one fits every schema. */
const EXAMPLES: readonly string[] = [
  `${LIVE}#   npx listenql sql "INSERT INTO visits (person_id, place) SELECT pk, 'Library' FROM people"
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
  `${LIVE}${ONCE}subscription {
  people(orderBy: [{ pk: DESC }], limit: 5) {
    rows {
      name
      age
    }
  }
}
`,
  `# Press the play button, then run in a terminal:
#   npx listenql sql "NOTIFY people, 'hello'"
subscription {
  channel(name: "people") {
    payload
    json
    gap
    at
  }
}
`,
]

/** The first example that fits the schema: the tables of the demo may be there or not. */
export function exampleDocument(schema: GraphQLSchema): string {
  const fitting = EXAMPLES.find(text => validate(schema, parse(text)).length === 0)
  return fitting ?? (EXAMPLES.at(-1) as string)
}
