import { createClient } from 'listenql/client'
import { ListenqlProvider, useLiveQuery } from 'listenql/react'
import { useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Area, AreaChart, Bar, BarChart, ResponsiveContainer, XAxis, YAxis } from 'recharts'

const client = createClient({ url: '/graphql' })

/** All parts of one result are of the same moment: the bars add up to the sum above them. */
const DASHBOARD = `subscription ($sold: OrdersFilter!, $all: OrdersFilter!) {
  live(every: 200) {
    sold: ordersAggregate(where: $sold) {
      count sum { amount } avg { amount }
      byProduct: groups(groupBy: [product]) { key { product } count sum { amount } }
      byDay: groups(groupBy: [placedOn]) { key { placedOn } count sum { amount } }
    }
    states: ordersAggregate(where: $all) { groups(groupBy: [state]) { key { state } count } }
    orders(where: $all, orderBy: [{ id: DESC }], limit: 8) { rows { id country product amount state } }
    countries: ordersAggregate { groups(groupBy: [country]) { key { country } } }
  }
}`
const DAYS = 14

const inEuro = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' })
const short = new Intl.NumberFormat('en', { notation: 'compact' })
/** A sum of `numeric` is a text, with all digits. */
const euro = amount => inEuro.format(amount ?? '0')

function Dashboard() {
  const [country, setCountry] = useState('')
  const first = new Date(Date.now() - (DAYS - 1) * 24 * 3600 * 1000).toISOString().slice(0, 10)
  const all = { placedOn: { gte: first }, ...(country && { country: { eq: country } }) }
  const variables = { all, sold: { ...all, state: { neq: 'cancelled' } } }
  const { data, state, since, error } = useLiveQuery(DASHBOARD, { variables })
  const status = state === 'offline' ? `offline since ${since.toLocaleTimeString()}` : state
  if (!data) return <output>{error?.message ?? status}</output>
  const { sold, states, orders, countries } = data.live
  return (
    <>
      <header>
        <h1>Orders, last {DAYS} days</h1>
        <select aria-label="Country" value={country} onChange={event => setCountry(event.target.value)}>
          <option value="">All countries</option>
          {countries.groups.map(({ key }) => (
            <option key={key.country}>{key.country}</option>
          ))}
        </select>
        <output>{error?.message ?? status}</output>
      </header>
      <dl>
        <Tile name="Revenue" value={euro(sold.sum.amount)} />
        <Tile name="Orders sold" value={sold.count} />
        <Tile name="Average" value={euro(sold.avg.amount)} />
        {states.groups.map(({ key, count }) => (
          <Tile key={key.state} name={key.state} value={count} />
        ))}
      </dl>
      <div className="charts">
        <Figure title="Revenue by product" groups={sold.byProduct} by="product">
          {data => (
            <BarChart data={data} accessibilityLayer={false}>
              <XAxis dataKey="name" stroke="currentColor" interval={0} />
              <YAxis stroke="currentColor" width={45} tickFormatter={short.format} />
              <Bar dataKey="revenue" fill="var(--accent)" isAnimationActive={false} />
            </BarChart>
          )}
        </Figure>
        <Figure title="Revenue by day" groups={sold.byDay} by="placedOn">
          {data => (
            <AreaChart data={data} accessibilityLayer={false}>
              <XAxis dataKey="name" stroke="currentColor" tickFormatter={day => day.slice(5)} />
              <YAxis stroke="currentColor" width={45} tickFormatter={short.format} />
              <Area dataKey="revenue" stroke="var(--accent)" fill="var(--accent)" isAnimationActive={false} />
            </AreaChart>
          )}
        </Figure>
      </div>
      <Table
        caption="Latest orders"
        head={['No.', 'Country', 'Product', 'State', 'Amount']}
        rows={orders.rows.map(row => [row.id, row.country, row.product, row.state, euro(row.amount)])}
      />
    </>
  )
}

function Tile({ name, value }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

/** A chart, and its numbers as a table. */
function Figure({ title, groups, by, children }) {
  const data = groups.map(({ key, sum }) => ({ name: key[by], revenue: Number(sum.amount) }))
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <div aria-hidden="true">
        <ResponsiveContainer height={220}>{children(data)}</ResponsiveContainer>
      </div>
      <details>
        <summary>Numbers</summary>
        <Table
          head={['', 'Orders', 'Revenue']}
          rows={groups.map(({ key, count, sum }) => [key[by], count, euro(sum.amount)])}
        />
      </details>
    </figure>
  )
}

/** The first cell of a row is its head, and different in each row. */
function Table({ caption, head, rows }) {
  return (
    <table>
      {caption && <caption>{caption}</caption>}
      <thead>
        <tr>
          {head.map(name => (
            <th key={name}>{name}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, ...cells]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            {cells.map((cell, i) => (
              <td key={head[i + 1]}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

createRoot(document.querySelector('main')).render(
  <ListenqlProvider client={client}>
    <Dashboard />
  </ListenqlProvider>,
)
