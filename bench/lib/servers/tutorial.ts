import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ExecutionArgs } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { createPubSub, createSchema, createYoga } from 'graphql-yoga'
import { WebSocketServer } from 'ws'
import { CHANNEL } from '../variants.js'
import { followChannel } from './follow-channel.js'

interface Notification {
  readonly channel: string
  readonly payload: string
}

interface EnvelopedArgs extends ExecutionArgs {
  readonly execute: (args: ExecutionArgs) => unknown
  readonly subscribe: (args: ExecutionArgs) => unknown
}

/**
 * The set-up in Yoga's documentation: createPubSub
 * (https://the-guild.dev/graphql/yoga-server/docs/features/subscriptions) and graphql-ws on the same HTTP server
 * (same page, "GraphQL over WebSocket Protocol via graphql-ws"). @returns its port
 */
export async function startTutorial(url: string, keepAlive: number): Promise<number> {
  const pubSub = createPubSub<{ channel: [name: string, event: Notification] }>()
  const yoga = createYoga({
    logging: false,
    schema: createSchema({
      typeDefs: /* GraphQL */ `
        type Query { channels: [String!]! }
        type ChannelEvent { channel: String!  payload: String }
        type Subscription { channel(name: String!): ChannelEvent! }
      `,
      resolvers: {
        Query: { channels: () => [CHANNEL] },
        Subscription: {
          channel: {
            subscribe: (_root: unknown, { name }: { name: string }) => pubSub.subscribe('channel', name),
            resolve: (event: Notification) => event,
          },
        },
      },
    }),
  })
  const httpServer = createServer(yoga)
  const wsServer = new WebSocketServer({ server: httpServer, path: yoga.graphqlEndpoint })
  useServer(
    {
      execute: args => (args as EnvelopedArgs).execute(args) as never,
      subscribe: args => (args as EnvelopedArgs).subscribe(args) as never,
      onSubscribe: async (ctx, _id, params) => {
        const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
          ...ctx,
          req: ctx.extra.request,
          socket: ctx.extra.socket,
          params,
        })
        const args = {
          schema,
          operationName: params.operationName,
          document: parse(params.query),
          variableValues: params.variables,
          contextValue: await contextFactory(),
          execute,
          subscribe,
        }
        const errors = validate(args.schema, args.document)
        return errors.length > 0 ? errors : args
      },
    },
    wsServer,
    keepAlive,
  )
  await followChannel(url, CHANNEL, (channel, payload) =>
    pubSub.publish('channel', channel, { channel, payload }),
  )
  await new Promise<void>(resolve => httpServer.listen(0, '127.0.0.1', resolve))
  return (httpServer.address() as AddressInfo).port
}
