import { apolloHttp, apolloWs } from './apollo.js'
import type { ConnectClient } from './client.js'
import { graphqlWs, graphqlWsIterate } from './graphql-ws.js'
import { graphqlSse, plainFetch } from './sse.js'
import { urqlFetch, urqlWs } from './urql.js'

export const REAL_CLIENTS: Readonly<Record<string, ConnectClient>> = {
  'graphql-ws': graphqlWs,
  'graphql-ws, iterate': graphqlWsIterate,
  'Apollo Client, GraphQLWsLink': apolloWs,
  'Apollo Client, HttpLink': apolloHttp,
  'urql, graphql-ws': urqlWs,
  'urql, fetch': urqlFetch,
  'graphql-sse': graphqlSse,
  'plain fetch': plainFetch,
}
