import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createKicks } from '../../src/auth/kicks.js'
import type { Viewer } from '../../src/auth/viewer.js'
import type { Kick } from '../../src/auth/viewer-queries.js'

/**
 * Issuers with different clocks, several servers that start and stop, and kicks that each server reads at
 * intervals. All times are in ms by the clock of the database.
 */

interface Token {
  readonly user: number
  readonly issuedAt: number
  readonly viewer: Viewer
}
interface Session {
  readonly token: Token
  readonly viewer: Viewer
  readonly at: number
  /** How many rows of kicks the server had read when it accepted this session. */
  readonly known: number
}
interface Row {
  readonly kick: Kick & { tokens: string[] }
  readonly user: number
}

const small = fc.nat(3)
const step = fc.oneof(
  fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
  fc.record({ op: fc.constant('issue' as const), user: fc.nat(1), issuer: fc.nat(3) }),
  fc.record({ op: fc.constant('accept' as const), server: fc.nat(2), token: small }),
  fc.record({ op: fc.constant('kick' as const), user: fc.nat(1) }),
  fc.record({ op: fc.constant('look' as const), server: fc.nat(2) }),
  fc.record({ op: fc.constant('restart' as const), server: fc.nat(2) }),
)
/** In ms: how far the clock of each issuer is ahead. */
const offsets = fc.array(fc.constantFrom(-5000, -300, 0, 250, 5000, 60_000, 1e12), {
  minLength: 4,
  maxLength: 4,
})

it('kicks end sessions accepted before, refuse tokens issued before as far as that is known, and affect nothing else', () => {
  fc.assert(
    fc.property(offsets, fc.array(step, { maxLength: 60, size: 'max' }), (ahead, steps) => {
      let now = 1_800_000_000_000
      const rows: Row[] = []
      const tokens: Token[] = []
      /**
       * The tokens that a server accepted before their time of issue and before it read a kick of their user.
       */
      const burnt = new Set<Token>()
      const createOne = () => ({
        kicks: createKicks({ now: () => now }),
        read: 0,
        sessions: [] as Session[],
      })
      const servers = [createOne(), createOne(), createOne()]

      function look(server: ReturnType<typeof createOne>): void {
        for (const { kick, user } of rows.slice(server.read)) {
          for (const { token, at } of server.sessions) {
            if (token.user === user && token.issuedAt > at && token.issuedAt >= kick.at) burnt.add(token)
          }
        }
        server.read = rows.length
        server.kicks.add(rows.map(({ kick }) => ({ ...kick, tokens: [...kick.tokens] })))
        server.kicks.knownUpTo(now)
        for (const extension of server.kicks.extensions()) {
          rows.find(({ kick }) => kick.id === extension.id)?.kick.tokens.push(...extension.tokens)
          server.kicks.written(extension)
        }
      }
      function restart(index: number): ReturnType<typeof createOne> {
        const server = createOne()
        servers[index] = server
        look(server) // as a server does before it accepts its first viewer
        return server
      }

      for (const [index, each] of steps.entries()) {
        now += 7
        if (each.op === 'wait') now += each.ms
        else if (each.op === 'issue') {
          const issuedAt = Math.floor((now + (ahead[each.issuer] as number)) / 1000) * 1000
          const claims = { sub: `user ${each.user}`, jti: index, iat: issuedAt / 1000 }
          const viewer = { role: 'user', claims, issuedAt, expiresAt: undefined }
          tokens.push({ user: each.user, issuedAt, viewer })
        } else if (each.op === 'kick') {
          const kick = {
            id: String(rows.length),
            claim: 'sub',
            value: `user ${each.user}`,
            at: now,
            tokens: [],
          }
          rows.push({ kick, user: each.user })
        } else if (each.op === 'look') look(servers[each.server] as ReturnType<typeof createOne>)
        else if (each.op === 'restart') restart(each.server)
        else {
          const server = servers[each.server]
          const token = tokens.at(-1 - each.token)
          if (!server || !token || server.kicks.hits(token.viewer)) continue
          const viewer = server.kicks.accept(token.viewer)
          server.sessions.push({ token, viewer, at: now, known: server.read })
        }
      }

      for (const server of [...servers, ...servers]) look(server)
      const late = restart(0)
      const isOver = (token: Token) =>
        burnt.has(token) || rows.some(({ user, kick }) => user === token.user && token.issuedAt < kick.at)
      for (const server of [late, ...servers]) {
        for (const token of tokens) expect(server.kicks.hits(token.viewer)).toBe(isOver(token))
        for (const { token, viewer, known } of server.sessions) {
          const isOutlived = rows.slice(known).some(({ user }) => user === token.user)
          expect(server.kicks.hits(viewer)).toBe(isOutlived || isOver(token))
        }
        // A token that an issuer whose clock is not slow issues from the next second on is valid.
        for (const user of [0, 1]) {
          for (const offset of ahead.filter(ms => ms >= 0)) {
            const issuedAt = Math.floor((now + 1000 + offset) / 1000) * 1000
            const claims = { sub: `user ${user}`, jti: 'new', iat: issuedAt / 1000 }
            expect(server.kicks.hits({ claims, issuedAt })).toBe(false)
          }
        }
      }
    }),
    { numRuns: 2000 },
  )
})
