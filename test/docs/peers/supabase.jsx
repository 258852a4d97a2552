// Supabase: the change tells that something has changed, and the list is read again, at first and after a lost connection too.
// Merging the changes into the rows would be longer, since a limit needs the row that comes next.
// https://supabase.com/docs/guides/realtime/subscribing-to-database-changes
import { createClient } from '@supabase/supabase-js'
import { useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'

const supabase = createClient('http://localhost:54321', 'anon key')
const PEOPLE = { event: '*', schema: 'public', table: 'people' }

function People() {
  const [{ data, error }, setResult] = useState({})
  useEffect(() => {
    const read = async () => setResult(await supabase.from('people').select('pk, name').order('pk').limit(10))
    const channel = supabase.channel('people').on('postgres_changes', PEOPLE, read)
    channel.subscribe(status => status === 'SUBSCRIBED' && read())
    return () => void supabase.removeChannel(channel)
  }, [])
  if (!data) return <p>{error ? error.message : 'Loading…'}</p>
  return (
    <ul>
      {data.map(({ pk, name }) => (
        <li key={pk}>{name}</li>
      ))}
    </ul>
  )
}

createRoot(document.body.appendChild(document.createElement('main'))).render(<People />)
