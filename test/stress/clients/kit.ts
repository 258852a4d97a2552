import type { ListenqlClient } from '../../../src/client/index.js'
import type { Kit } from './helper.js'
import { createWitness, type Witness } from './witness.js'

/** A time in which a renamed column may have got its name back, in ms. */
const AGAIN = 200

/** The errors after which an operation that selects the renamed column cannot begin anew by itself. */
const RENAMED = 'GRAPHQL_VALIDATION_FAILED'

/** What helpers are made with, and what they have reported so far. */
export function createKit(options: {
  readonly client: ListenqlClient
  readonly isStrict: boolean
  readonly complain: (text: string) => void
}): { readonly kit: Kit; tally(): { states: number; torn: number; errors: Record<string, number> } } {
  const { client, isStrict, complain } = options
  const witnesses: Witness[] = []
  const errors: Record<string, number> = {}
  const known = new WeakSet<Error>()
  const sum = (count: (witness: Witness) => number) => witnesses.map(count).reduce((a, b) => a + b, 0)
  return {
    kit: {
      client,
      complain,
      witness(name, branches) {
        const witness = createWitness({ name, branches, isStrict, complain })
        witnesses.push(witness)
        return witness
      },
      heard(name, status, refetch) {
        const { state, error } = status ?? {}
        if (!error || known.has(error)) return
        known.add(error)
        const code = error.code ?? error.message
        errors[code] = (errors[code] ?? 0) + 1
        if (state !== 'failed') return
        if (code === RENAMED && name.includes('renamed')) setTimeout(refetch, AGAIN)
        else complain(`${name} failed: ${error.message}`)
      },
    },
    tally: () => ({
      states: sum(({ tally }) => tally.states),
      torn: sum(({ tally }) => tally.torn),
      errors,
    }),
  }
}
