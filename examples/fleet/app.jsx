import { createClient } from 'listenql/client'
import { ListenqlProvider, useListenqlStatus, useLiveQuery, useRowFeed } from 'listenql/react'
import { useState } from 'react'
import { createRoot } from 'react-dom/client'

const client = createClient({ url: '/graphql' })

const FLEETS = `subscription {
  vehiclesAggregate { groups(groupBy: [fleet]) { key { fleet } count } }
}`
const MOVES = `subscription ($where: VehiclesFilter) {
  vehiclesChanged(initial: true, where: $where) {
    operation key { id } row { id name fleet x y heading } transaction
  }
}`
/** Positions of a trail. */
const TRAIL = 50
const COLUMNS = Array.from({ length: 11 }, (_, i) => `M${i * 100} 0 V600`)
const ROWS = Array.from({ length: 7 }, (_, i) => `M0 ${i * 100} H1000`)
const STREETS = [...COLUMNS, ...ROWS].join(' ')

/**
 * The vehicles of a fleet, each as its last rows, the newest last. Every change is a position of the trail, also those that happen
 * while the connection is lost: they arrive when it is back.
 */
function useTrails(fleet) {
  const [trails, setTrails] = useState(new Map())
  const { error } = useRowFeed(
    MOVES,
    {
      rows: rows => setTrails(new Map(rows.map(({ row }) => [row.id, [row]]))),
      changes: changes => setTrails(before => changes.reduce(extend, new Map(before))),
    },
    { variables: { where: fleet ? { fleet: { eq: fleet } } : {} } },
  )
  return { trails: [...trails.values()], error }
}

function extend(trails, { operation, key, row }) {
  if (operation === 'TRUNCATE') trails.clear()
  else if (row) trails.set(key.id, [...(trails.get(key.id) ?? []), row].slice(-TRAIL))
  else trails.delete(key.id)
  return trails
}

function App() {
  const [fleet, setFleet] = useState('')
  const [chosen, setChosen] = useState()
  const { trails, error } = useTrails(fleet)
  return (
    <>
      <header>
        <h1>Fleet</h1>
        <Fleets fleet={fleet} onChange={setFleet} />
        <Status error={error} />
      </header>
      <Town trails={trails} chosen={chosen} />
      <ul aria-label="Vehicles">
        {trails.map(trail => {
          const { id, fleet, name, x, y } = trail.at(-1)
          return (
            <li key={id}>
              <button
                type="button"
                className={fleet}
                aria-pressed={id === chosen}
                onClick={() => setChosen(id === chosen ? undefined : id)}
              >
                {name}{' '}
                <small>
                  {x}, {y}
                </small>
              </button>
            </li>
          )
        })}
      </ul>
    </>
  )
}

function Fleets({ fleet, onChange }) {
  const { data } = useLiveQuery(FLEETS)
  const groups = data?.vehiclesAggregate.groups ?? []
  return (
    <select aria-label="Fleet" value={fleet} onChange={event => onChange(event.target.value)}>
      <option value="">All fleets</option>
      {groups.map(({ key, count }) => (
        <option key={key.fleet} value={key.fleet}>
          {key.fleet} ({count})
        </option>
      ))}
    </select>
  )
}

function Status({ error }) {
  const { state, since } = useListenqlStatus()
  return (
    <output>
      {error ? error.message : state === 'offline' ? `offline since ${since.toLocaleTimeString()}` : state}
    </output>
  )
}

function Town({ trails, chosen }) {
  return (
    <svg viewBox="-20 -20 1040 640" role="img" aria-label="Map of the town with the vehicles">
      <path className="river" d="M-20 250 C 250 180, 400 480, 700 430 S 950 560, 1040 540" />
      <rect className="park" x="610" y="110" width="180" height="180" rx="8" />
      <path className="streets" d={STREETS} />
      {trails.map(trail => {
        const { id, fleet, name, x, y, heading } = trail.at(-1)
        return (
          <g key={id} className={id === chosen ? `${fleet} chosen` : fleet}>
            <polyline points={trail.map(({ x, y }) => `${x},${y}`).join(' ')} />
            <g className="vehicle" style={{ transform: `translate(${x}px, ${y}px)` }}>
              <path d="M12 0 L-9 8 L-5 0 L-9 -8 Z" transform={`rotate(${heading})`}>
                <title>{name}</title>
              </path>
            </g>
          </g>
        )
      })}
    </svg>
  )
}

createRoot(document.querySelector('main')).render(
  <ListenqlProvider client={client}>
    <App />
  </ListenqlProvider>,
)
