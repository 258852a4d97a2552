// A chat on your own Yoga server: an event published in one process reaches the subscribers of all processes, through Postgres.
import { createServer } from 'node:http'
import { createPubSub, createSchema, createYoga } from 'graphql-yoga'
import { createPostgresEventTarget } from 'listenql'

const eventTarget = createPostgresEventTarget({
  connectionString: process.env.DATABASE_URL,
  onError: error => console.error(error.message),
  onGap: topics => console.error(`events may have been missed in: ${topics.join(', ')}`),
})
const pubSub = createPubSub({ eventTarget })

const schema = createSchema({
  typeDefs: `
    type Query { hello: String! }
    type Mutation { say(room: ID!, text: String!): Boolean! }
    type Subscription { said(room: ID!): String! }
  `,
  resolvers: {
    Query: { hello: () => 'world' },
    Mutation: {
      say(_root, { room, text }) {
        pubSub.publish('said', room, text)
        return true
      },
    },
    Subscription: {
      said: {
        subscribe: (_root, { room }) => pubSub.subscribe('said', room),
        resolve: text => text,
      },
    },
  },
})

const yoga = createYoga({ schema, logging: 'warn' })
const server = createServer(yoga)
server.listen(Number(process.env.PORT ?? 4000), () => {
  console.log(`http://localhost:${server.address().port}/graphql`)
})

process.once('SIGINT', async () => {
  server.closeAllConnections()
  server.close()
  await yoga.dispose()
  await eventTarget.close()
})
