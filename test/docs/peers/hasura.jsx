// Hasura, as its guide sets Apollo Client up, with the WebSocket link alone, since this screen sends no query over HTTP:
// https://hasura.io/docs/latest/graphql/core/guides/integrations/apollo-subscriptions.html
// https://hasura.io/docs/latest/subscriptions/postgres/livequery/index
import { ApolloClient, gql, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { useSubscription } from '@apollo/client/react'
import { createClient } from 'graphql-ws'
import { createRoot } from 'react-dom/client'

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: new GraphQLWsLink(createClient({ url: 'ws://localhost:8080/v1/graphql' })),
})
const PEOPLE = gql`subscription People { people(order_by: { pk: asc }, limit: 10) { pk name } }`

function People() {
  const { data, error } = useSubscription(PEOPLE, { client })
  if (!data) return <p>{error ? error.message : 'Loading…'}</p>
  return (
    <ul>
      {data.people.map(({ pk, name }) => (
        <li key={pk}>{name}</li>
      ))}
    </ul>
  )
}

createRoot(document.body.appendChild(document.createElement('main'))).render(<People />)
