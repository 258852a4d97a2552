import { createElement, type ReactElement } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, expectTypeOf, it } from 'vitest'
import { createClient } from '../../../src/client/index.js'
import { ListenqlProvider, useLiveQuery, useLiveRows } from '../../../src/client/react/index.js'
import { keptPeople, livePeople } from '../../support/documents.js'
import type { LivePeopleSubscription } from '../../support/graphql/graphql.js'

const client = createClient({ url: 'ws://localhost:1/graphql' })
const inProvider = (child: () => ReactElement | null) =>
  createElement(ListenqlProvider, { client }, createElement(child))

it('has the types of a typed document', () => {
  const html = renderToString(
    inProvider(() => {
      const { rows, state } = useLiveRows(keptPeople, { compare: (a, b) => a.pk - b.pk })
      expectTypeOf(rows).toEqualTypeOf<readonly { pk: number; name: string | null; age: number | null }[]>()
      // @ts-expect-error not a variable of the document
      useLiveRows(keptPeople, { variables: { wher: {} } })
      const { data } = useLiveQuery(livePeople, { variables: { limit: 1 } })
      expectTypeOf(data).toEqualTypeOf<LivePeopleSubscription | undefined>()
      return createElement('p', null, `${state} ${rows.length} ${data}`)
    }),
  )
  expect(html).toBe('<p>loading 0 undefined</p>')
})

it('of a document that is null subscribes to nothing, and needs no server', () => {
  const html = renderToString(
    inProvider(() => {
      const { rows, state, refetch } = useLiveRows(null)
      refetch()
      return createElement('p', null, `${state} ${rows.length}`)
    }),
  )
  expect(html).toBe('<p>loading 0</p>')
})

it('takes a client of its own instead of that of a provider; without either, says what to do', () => {
  const List = ({ own }: { own?: typeof client | undefined }) =>
    createElement('p', null, useLiveRows(keptPeople, { client: own }).state)
  expect(renderToString(createElement(List, { own: client }))).toBe('<p>loading</p>')
  expect(() => renderToString(createElement(List))).toThrow('<ListenqlProvider client=')
})
