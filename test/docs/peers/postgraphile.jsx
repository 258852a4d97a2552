// PostGraphile 4 with live queries (--live, @graphile/subscriptions-lds, wal_level = logical and wal2json). Version 5 has none
// yet: there, the application writes a subscription and a trigger, and reads the list again.
// https://www.graphile.org/postgraphile/live-queries/
// https://postgraphile.org/postgraphile/5/live-queries
import { ApolloClient, gql, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { useSubscription } from '@apollo/client/react'
import { createClient } from 'graphql-ws'
import { createRoot } from 'react-dom/client'

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: new GraphQLWsLink(createClient({ url: 'ws://localhost:5000/graphql' })),
})
const PEOPLE = gql`subscription People {
  allPeople(first: 10, orderBy: PRIMARY_KEY_ASC) { nodes { pk name } }
}`

function People() {
  const { data, error } = useSubscription(PEOPLE, { client })
  if (!data) return <p>{error ? error.message : 'Loading…'}</p>
  return (
    <ul>
      {data.allPeople.nodes.map(({ pk, name }) => (
        <li key={pk}>{name}</li>
      ))}
    </ul>
  )
}

createRoot(document.body.appendChild(document.createElement('main'))).render(<People />)
