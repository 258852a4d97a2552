import { createClient } from 'listenql/client'
import { useListenqlStatus } from 'listenql/react'
import { useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Client, Provider, subscriptionExchange, useQuery, useSubscription } from 'urql'

const PAGE = 20
const HISTORY = `query ($where: MessagesFilter) {
  messages(where: $where, orderBy: [{ id: DESC }], limit: ${PAGE}) { cursor rows { id author body at } }
}`
const NEW_MESSAGES = `subscription ($name: String!, $after: String) { channel(name: $name, after: $after) { json } }`
const PRESENT = 'subscription { presence(orderBy: [{ name: ASC }]) { rows { name } } }'

const { name, room } = Object.fromEntries(new URLSearchParams(location.search))

async function createToken() {
  const response = await fetch(`/api/token${location.search}`)
  return `Bearer ${await response.text()}`
}

async function post(path, body) {
  const headers = { authorization: await createToken() }
  const response = await fetch(path, { method: 'POST', headers, body })
  if (!response.ok) throw new Error(await response.text())
}

const socket = createClient({
  url: '/graphql',
  connectionParams: async () => ({ authorization: await createToken() }),
})
const client = new Client({
  url: '/graphql',
  preferGetMethod: false,
  exchanges: [
    subscriptionExchange({
      enableAllOperations: true, // queries, too: one connection, one token
      forwardSubscription: ({ query, variables }) => ({
        subscribe: sink => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
      }),
    }),
  ],
})

function Room() {
  const [{ data }] = useSubscription({ query: PRESENT })
  const { state } = useListenqlStatus({ client: socket })
  useEffect(() => {
    const beat = () => post('/api/here').catch(() => {}) // the next one follows
    beat()
    const timer = setInterval(beat, 2000)
    return () => clearInterval(timer)
  }, [])
  return (
    <>
      <header>
        <a href="/">Leave</a>
        <h1>{room}</h1>
        <p role="status">
          {state === 'offline'
            ? 'Offline'
            : `Here: ${data?.presence.rows.map(({ name }) => name).join(', ') ?? ''}`}
        </p>
      </header>
      <div role="log" aria-label="Messages">
        <div>
          <History />
        </div>
      </div>
      <Say />
    </>
  )
}

/** A page of messages, with the page before it on demand. The newest page continues live, exactly after its cursor. */
function History({ before }) {
  const variables = { where: before ? { id: { lt: before } } : {} }
  const [{ data, error }] = useQuery({ query: HISTORY, variables })
  const [hasOlder, setHasOlder] = useState(false)
  if (error) return <Failure error={error} />
  if (!data) return <p>Loading…</p>
  const { cursor, rows } = data.messages
  const messages = rows.toReversed()
  return (
    <>
      {hasOlder && <History before={messages[0].id} />}
      {!hasOlder && rows.length === PAGE && (
        <button type="button" onClick={() => setHasOlder(true)}>
          Older messages
        </button>
      )}
      {messages.map(message => (
        <Message key={message.id} {...message} />
      ))}
      {!before && <NewMessages after={cursor} />}
    </>
  )
}

function NewMessages({ after }) {
  const [{ data, error }] = useSubscription(
    { query: NEW_MESSAGES, variables: { name: `room:${room}`, after } },
    (messages = [], { channel: { json } }) => (json ? [...messages, json] : messages),
  )
  if (error) return <Failure error={error} />
  return data?.map(message => <Message key={message.id} {...message} />)
}

function Message({ author, body, at }) {
  return (
    <p>
      <strong>{author}</strong> {body} <small>{new Date(at).toLocaleTimeString()}</small>
    </p>
  )
}

function Failure({ error }) {
  return (
    <p role="alert">
      {error.message}{' '}
      <button type="button" onClick={() => location.reload()}>
        Reload
      </button>
    </p>
  )
}

function Say() {
  const [error, setError] = useState()
  async function say(event) {
    event.preventDefault()
    const form = event.currentTarget
    try {
      await post('/api/say', form.elements.body.value)
      setError()
      form.reset()
    } catch (error) {
      setError(error)
    }
  }
  return (
    <form onSubmit={say}>
      <input
        name="body"
        required
        maxLength={500}
        autoComplete="off"
        aria-label="Message"
        placeholder={`Message as ${name}`}
      />
      <button type="submit">Send</button>
      {error && <p role="alert">{error.message}</p>}
    </form>
  )
}

function SignIn() {
  return (
    <form>
      <h1>Chat</h1>
      <input name="name" required aria-label="Name" placeholder="Your name" />
      <select name="room" aria-label="Room">
        <option>Kitchen</option>
        <option>Garden</option>
      </select>
      <button type="submit">Enter</button>
    </form>
  )
}

createRoot(document.querySelector('main')).render(
  <Provider value={client}>{name && room ? <Room /> : <SignIn />}</Provider>,
)
