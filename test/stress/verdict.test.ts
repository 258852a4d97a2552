import { expect, it } from 'vitest'
import { encodePlain } from '../../src/log/position.js'
import { createRandom } from './random.js'
import { ClientRecord } from './record.js'
import { ALL, nameOf, PEOPLE, type Row, type Seen, show, type View } from './topics.js'
import { judge, type Witness } from './verdict.js'

/** Tests that the verdict of the stress run detects the faults of a server: a verdict that never finds anything proves nothing. */

const TEAM_3 = PEOPLE.views.find(view => view.name === 'team 3') as View
const START_OVER = encodePlain({ n: 1, token: 7, ord: 2147483647, statement: 0, id: 0 })

/** The history of one person: each event in its own transaction, except the last two. */
const EVENTS: readonly Seen[] = [
  event(1, 'I', person(1, 3), null),
  event(2, 'I', person(2, 4), null),
  event(3, 'U', person(1, 5, 2), person(1, 3)),
  event(4, 'U', person(2, 3, 2), person(2, 4)),
  event(5, 'D', null, person(1, 5, 2), 'last'),
  event(6, 'U', person(2, 3, 3), person(2, 3, 2), 'last'),
]

function person(pk: number, team: number, version = 1): Row {
  return { pk, name: `name ${pk}`, team, score: null, version }
}

function event(
  i: number,
  operation: string,
  row: Row | null,
  old: Row | null,
  transaction = String(i),
): Seen {
  const position = { n: 2, token: 8, ord: Math.min(i, 5), statement: 1, id: i }
  const seen = { operation, key: String((row ?? old)?.pk), row, old, transaction }
  return { ...seen, position, cursor: encodePlain(position), name: nameOf(seen) }
}

function witness(
  name: string,
  received: readonly Seen[],
  view = ALL,
  from = START_OVER,
  snapshot: Row[] = [],
) {
  const complaints: string[] = []
  const record = new ClientRecord(PEOPLE, view, text => complaints.push(text))
  record.begin(from, snapshot)
  for (const seen of received) record.take(seen, 0)
  return { name, record, connections: ['SSE GET with server 1'], complaints }
}

function verdict(clients: readonly [Witness, ...Witness[]], truth = EVENTS, rows = [person(2, 3, 3)]) {
  return judge({ topic: PEOPLE, truth: truth.map(({ name }) => name), rows, clients })
}

const steady = () => witness('steady', EVENTS)
const shown = (view: View) => EVENTS.flatMap(each => show(view, each) ?? [])
const without = (i: number) => EVENTS.filter((_, at) => at !== i)

it('finds nothing if nothing is wrong', () => {
  const late = witness('late', EVENTS.slice(3), ALL, EVENTS[2]?.cursor, [person(1, 5, 2), person(2, 4)])
  const filtered = witness('filtered', shown(TEAM_3), TEAM_3)
  expect(shown(TEAM_3).map(({ name }) => name)).toEqual([
    'I 1 1 - in 1',
    'U 1 - 1 in 3',
    'U 2 2 1 in 4',
    'U 2 3 2 in last',
  ])
  const result = verdict([steady(), late, filtered])
  expect(result).toEqual({ events: 6, lost: 0, doubled: 0, problems: [] })
  expect([...late.complaints, ...filtered.complaints]).toEqual([])
})

it.each([0, 2, 5])('finds an event that one client has lost: event %i', i => {
  const { lost, problems } = verdict([steady(), witness('other', without(i))])
  expect(lost).toBe(1)
  expect(problems[0]).toContain(`other, 1. part from ${START_OVER}: ${EVENTS[i]?.name}`)
  expect(problems[0]).toContain('SSE GET with server 1')
})

it('finds an event that all clients have lost', () => {
  const { lost, problems } = verdict([witness('steady', without(1))])
  expect(lost).toBe(1)
  expect(problems.join('\n')).toContain('people: I 2 1 - in 2 was committed, and never came')
})

it('finds an event that was never committed', () => {
  expect(verdict([steady()], without(3)).problems.join('\n')).toContain('U 2 2 1 in 4')
})

it('finds an event that arrives twice, at once and at the end', () => {
  const first = EVENTS[0] as Seen
  const other = witness('other', [first, ...EVENTS])
  expect(other.complaints.join('\n')).toContain('came again')
  expect(verdict([steady(), other]).doubled).toBe(1)
})

it('finds versions out of order, and a torn transaction', () => {
  const [, , third, fourth, fifth, sixth] = EVENTS as [Seen, Seen, Seen, Seen, Seen, Seen]
  const swapped = [...EVENTS.slice(0, 2), fifth, third, fourth, sixth]
  const problems = verdict([witness('steady', swapped)]).problems.join('\n')
  expect(problems).toContain('D 1 - 2 in last')
  expect(problems).toContain('transaction last is torn')
})

it('finds a snapshot that does not match its position', () => {
  const late = witness('late', EVENTS.slice(3), ALL, EVENTS[2]?.cursor, [person(1, 3), person(2, 4)])
  expect(verdict([steady(), late]).problems[0]).toContain('its snapshot')
})

it('finds a row that a filter should have removed', () => {
  const wrong = shown(TEAM_3).map(each =>
    each.operation === 'U' ? (EVENTS.find(e => e.cursor === each.cursor) ?? each) : each,
  )
  expect(verdict([steady(), witness('filtered', wrong, TEAM_3)]).problems[0]).toContain('instead of')
})

it('finds a list that differs from the table', () => {
  expect(verdict([steady()], EVENTS, [person(2, 3, 4)]).problems[0]).toContain('its list at the end')
})

it('gives the same numbers for the same seed', () => {
  const draw = (seed: number, actor: string) => {
    const random = createRandom(seed, actor)
    return Array.from({ length: 20 }, () => random.int(0, 9))
  }
  expect(draw(1, 'chaos')).toEqual(draw(1, 'chaos'))
  expect(draw(1, 'chaos')).not.toEqual(draw(2, 'chaos'))
  expect(draw(1, 'chaos')).not.toEqual(draw(1, 'writer 1'))
  expect(new Set(draw(1, 'chaos')).size).toBeGreaterThan(4)
})
