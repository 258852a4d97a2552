import { createElement, type ReactElement } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, expectTypeOf, it } from 'vitest'
import { createClient } from '../../../src/client/index.js'
import { ListenqlProvider, useRowFeed } from '../../../src/client/react/index.js'
import { keptPeople } from '../../support/documents.js'
import type { KeptPeopleSubscription } from '../../support/graphql/graphql.js'

const client = createClient({ url: 'ws://localhost:1/graphql' })
const listener = { rows: () => undefined, changes: () => undefined }
const render = (child: () => ReactElement) =>
  renderToString(createElement(ListenqlProvider, { client }, createElement(child)))

it('has the types of a typed document, and the loading state on a server', () => {
  const html = render(() => {
    const { state, isLoaded } = useRowFeed(keptPeople, {
      rows: rows =>
        expectTypeOf(rows).toEqualTypeOf<readonly NonNullable<KeptPeopleSubscription['peopleChanged']>[]>(),
      changes: (_changes, transaction) => expectTypeOf(transaction).toEqualTypeOf<string | undefined>(),
    })
    // @ts-expect-error not a variable of the document
    useRowFeed(keptPeople, listener, { variables: { wher: {} } })
    return createElement('p', null, `${state} ${isLoaded}`)
  })
  expect(html).toBe('<p>loading false</p>')
})

it('of a document that is null subscribes to nothing, and needs no server', () => {
  const html = render(() => {
    const { state, refetch } = useRowFeed(null, listener)
    refetch()
    return createElement('p', null, state)
  })
  expect(html).toBe('<p>loading</p>')
})

it('refuses a document without `initial`', () => {
  const withoutRows = () => {
    useRowFeed('subscription { peopleChanged { operation } }', listener)
    return createElement('p')
  }
  expect(() => render(withoutRows)).toThrow('peopleChanged(initial: true)')
})
