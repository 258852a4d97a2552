import { createCollection, eq, useLiveQuery } from '@tanstack/react-db'
import { createClient } from 'listenql/client'
import { useListenqlStatus } from 'listenql/react'
import { listenqlCollectionOptions } from 'listenql/tanstack-db'
import { useState } from 'react'
import { createRoot } from 'react-dom/client'

/** A signed-in user with live tables of its own. Yours has one of them; this page shows two, side by side. */
function createBidder(name) {
  const token = async () => `Bearer ${await post(`/api/token?name=${name}`)}`
  const client = createClient({
    url: '/graphql',
    connectionParams: async () => ({ authorization: await token() }),
  })
  const lots = createCollection(
    listenqlCollectionOptions({ client, table: 'lots', columns: ['title', 'price', 'bidCount'] }),
  )
  const bids = createCollection(
    listenqlCollectionOptions({
      client,
      table: 'bids',
      columns: ['lotId', 'amount', 'placedAt'],
      // The bid is shown before this has begun, and is withdrawn if it fails.
      async onInsert({ transaction, collection }) {
        const { id, lotId, amount } = transaction.mutations[0].modified
        const written = await post('/api/bids', { id, lotId, amount }, { authorization: await token() })
        await collection.utils.awaitTransaction(written)
      },
    }),
  )
  return { name, client, lots, bids }
}

async function post(url, body, headers) {
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}

function Bidder({ bidder: { name, client, lots, bids } }) {
  const { data = [], isError } = useLiveQuery({
    query: q => q.from({ lot: lots }).orderBy(({ lot }) => lot.id),
  })
  const { state } = useListenqlStatus({ client })
  return (
    <section aria-label={name}>
      <h2>
        {name} {state === 'offline' && <small role="status">Offline</small>}
      </h2>
      {isError && <p role="alert">{lots.utils.status().error.message}</p>}
      {data.map(lot => (
        <Lot key={lot.id} lot={lot} bids={bids} />
      ))}
    </section>
  )
}

function Lot({ lot: { id: lotId, title, price, bidCount }, bids }) {
  const [error, setError] = useState('')
  const { data: own = [] } = useLiveQuery({
    query: q =>
      q
        .from({ bid: bids })
        .where(({ bid }) => eq(bid.lotId, lotId))
        .orderBy(({ bid }) => bid.amount, 'desc'),
  })
  const highest = own[0]?.amount

  function bid(formData) {
    setError('')
    const row = { id: crypto.randomUUID(), lotId, amount: Number(formData.get('amount')), placedAt: null }
    bids.insert(row).isPersisted.promise.catch(({ message }) => setError(message))
  }

  return (
    <article aria-label={title}>
      <h3>
        {title} <output>{price}</output>
      </h3>
      <p>
        <small>Bids: {bidCount}</small>{' '}
        <strong role="status">{highest && (highest < price ? 'You are outbid' : 'You lead')}</strong>
      </p>
      <form action={bid}>
        <input name="amount" type="number" min={price + 1} required aria-label={`Your bid for: ${title}`} />
        <button type="submit">Bid</button>
      </form>
      {error && <p role="alert">{error}</p>}
      <ul aria-label="Your bids">
        {own.map(({ id, amount, placedAt }) => (
          <li key={id} aria-busy={!placedAt}>
            {amount} <small>{placedAt ? new Date(placedAt).toLocaleTimeString() : 'Sending…'}</small>
          </li>
        ))}
      </ul>
    </article>
  )
}

createRoot(document.querySelector('main')).render(
  <>
    <h1>Auction</h1>
    <p>Each bidder sees all prices, and only their own bids: row-level security in Postgres decides.</p>
    <div>
      {['Ada', 'Bob'].map(createBidder).map(bidder => (
        <Bidder key={bidder.name} bidder={bidder} />
      ))}
    </div>
  </>,
)
