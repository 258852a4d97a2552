import fc from 'fast-check'
import pg from 'pg'
import { expect, it } from 'vitest'
import type { ListenConnection } from '../../src/postgres/listen-connection.js'
import { ListenedChannels } from '../../src/postgres/listened-channels.js'
import { SQL_STATE } from '../../src/postgres/sql-state.js'

/** Tracks the effect of LISTEN and UNLISTEN; a channel whose name begins with x is impossible. */
function createConnection() {
  const listening = new Set<string>()
  const connection = {
    async run(sql: string) {
      const statements = sql.split(';').map(statement => statement.split(' ') as [string, string])
      if (statements.some(([word, name]) => word === 'listen' && name.startsWith('"x'))) {
        const error = new pg.DatabaseError('no such character', 1, 'error')
        error.code = SQL_STATE.untranslatableCharacter
        throw error // A message is one transaction.
      }
      for (const [word, name] of statements)
        if (word === 'listen') listening.add(name)
        else listening.delete(name)
      return { rows: [] }
    },
  } as unknown as ListenConnection
  return { listening, connection }
}

const name = fc.constantFrom('a', 'b', 'c', 'x1', 'x2')
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('listen' as const), name }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('unlisten' as const), name }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('reconcile' as const), name }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), name }) },
)

it('after reconciling, the connection listens to exactly the possible channels that are requested, and the requests are answered', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      const channels = new ListenedChannels(() => undefined)
      let { listening, connection } = createConnection()
      const requested = new Set<string>()
      let answers: { name: string; answer: Promise<string> }[] = []
      const reconcile = async () => {
        while (channels.isDirty) await channels.reconcile(connection, () => undefined)
      }
      for (const { do: what, name } of steps) {
        if (what === 'listen') {
          requested.add(name)
          const answer = channels.listen(name).then(
            () => 'listening',
            () => 'refused',
          )
          answers.push({ name, answer })
        } else if (what === 'unlisten') {
          requested.delete(name)
          answers = answers.filter(each => each.name !== name)
          channels.unlisten(name)
        } else if (what === 'reconcile') await reconcile()
        else {
          channels.lost()
          ;({ listening, connection } = createConnection())
        }
      }
      await reconcile()
      const possible = [...requested].filter(name => !name.startsWith('x')).sort()
      expect([...listening].map(quoted => quoted.slice(1, -1)).sort()).toEqual(possible)
      expect([channels.active, channels.requested]).toEqual([possible.length, requested.size])
      for (const { name, answer } of answers)
        expect(await answer).toBe(name.startsWith('x') ? 'refused' : 'listening')
    }),
  )
})
