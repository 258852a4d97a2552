import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

/** The parts of PostGraphile that are used, as its documentation has them; it is not among the packages of this repository. */
interface Parts {
  readonly makePgService: (options: object) => object
  readonly extendSchema: (extension: object) => object
  readonly gql: (text: TemplateStringsArray) => object
  readonly context: () => { get(name: string): unknown }
  readonly listen: (pubSub: unknown, topic: unknown, item: (payload: unknown) => unknown) => unknown
  readonly object: (fields: object) => { get(name: string): unknown }
  readonly PostGraphileAmberPreset: object
  readonly grafserv: unknown
  readonly postgraphile: (preset: object) => {
    createServ(grafserv: unknown): { addTo(server: object): Promise<void> }
  }
}

/**
 * PostGraphile 5 with a subscription as in its documentation (https://postgraphile.org/postgraphile/5/subscriptions): `extendSchema`,
 * `listen` and the `pgSubscriber` of its service, which holds a LISTEN connection. Runs on Node 22 or newer.
 * @param folder where the package is installed, see `installPostgraphile`
 * @returns its port
 */
export async function startPostgraphile(url: string, folder: string): Promise<number> {
  const { makePgService, extendSchema, gql, context, listen, object, ...parts } = load(folder)
  const plugin = extendSchema({
    typeDefs: gql`
      type ChannelEvent { payload: String }
      extend type Subscription { channel(name: String!): ChannelEvent }
    `,
    objects: {
      Subscription: {
        plans: {
          channel: {
            subscribePlan: (_root: unknown, { $name }: { $name: unknown }) =>
              listen(context().get('pgSubscriber'), $name, $payload => object({ payload: $payload })),
            plan: ($event: unknown) => $event,
          },
        },
      },
      ChannelEvent: { plans: { payload: ($event: ReturnType<typeof object>) => $event.get('payload') } },
    },
  })
  const server = createServer()
  const serv = parts
    .postgraphile({
      extends: [parts.PostGraphileAmberPreset],
      plugins: [plugin],
      pgServices: [makePgService({ connectionString: url, schemas: ['public'], pubsub: true })],
      grafserv: { websockets: true, graphqlPath: '/graphql', watch: false },
    })
    .createServ(parts.grafserv)
  await serv.addTo(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function load(folder: string): Parts {
  const require = createRequire(join(folder, 'package.json'))
  const { makePgService } = require('postgraphile/adaptors/pg')
  const { extendSchema, gql } = require('postgraphile/utils')
  const { context, listen, object } = require('postgraphile/grafast')
  const { PostGraphileAmberPreset } = require('postgraphile/presets/amber')
  const { grafserv } = require('postgraphile/grafserv/node')
  const { postgraphile } = require('postgraphile')
  return { makePgService, extendSchema, gql, context, listen, object, PostGraphileAmberPreset, grafserv, postgraphile } // biome-ignore format: one line
}
