// Electric: a shape is a table or a filter of it, without order and limit, so the client sorts and cuts.
// https://www.npmjs.com/package/@electric-sql/react
// https://electric-sql.com/docs/guides/shapes
import { useShape } from '@electric-sql/react'
import { createRoot } from 'react-dom/client'

const SHAPE = { url: 'http://localhost:3000/v1/shape', params: { table: 'people', columns: ['pk', 'name'] } }

function People() {
  const { data, isLoading, error } = useShape(SHAPE)
  if (error || isLoading) return <p>{error ? error.message : 'Loading…'}</p>
  const rows = data.toSorted((a, b) => a.pk - b.pk).slice(0, 10)
  return (
    <ul>
      {rows.map(({ pk, name }) => (
        <li key={pk}>{name}</li>
      ))}
    </ul>
  )
}

createRoot(document.body.appendChild(document.createElement('main'))).render(<People />)
