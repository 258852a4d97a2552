import { createClient } from 'listenql/client'
import { ListenqlProvider, useLiveQuery } from 'listenql/react'
import { createRoot } from 'react-dom/client'

const client = createClient({ url: '/graphql' })
function App() {
  const { data, error } = useLiveQuery('subscription { vehicles { rows { id name } } }')
  return <p>{data ? data.vehicles.rows.map(({ name }) => name).join(' ') : (error?.message ?? 'Loading')}</p>
}
createRoot(document.body).render(
  <ListenqlProvider client={client}>
    <App />
  </ListenqlProvider>,
)
