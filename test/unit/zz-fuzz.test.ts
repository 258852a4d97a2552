import fc from 'fast-check'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createClient } from '../../src/client/index.js'
import { type HistoryEvent, startScriptedServer } from '../support/scripted-server.js'
import { waitUntil } from '../support/wait.js'

type Step =
  | { type: 'add'; kinds: HistoryEvent['kind'][] }
  | { type: 'deliver'; count: number }
  | { type: 'kill'; code: number | undefined }
  | { type: 'ping' | 'settle' | 'subscribe' | 'query' | 'refuse' | 'tick' | 'terminate' | 'queryLeave' }
  | { type: 'unsubscribe'; which: number }
const kind = fc.constantFrom<HistoryEvent['kind'][]>('durable', 'durable', 'elsewhere')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.array(kind, { minLength: 1, maxLength: 5 }).map(kinds => ({ type: 'add', kinds }) as const) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 4 }).map(count => ({ type: 'deliver', count }) as const) },
  { weight: 4, arbitrary: fc.constantFrom(undefined, undefined, 1000, 1001, 1012, 1013, 4504).map(code => ({ type: 'kill', code }) as const) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 5 }).map(which => ({ type: 'unsubscribe', which }) as const) },
  { weight: 12, arbitrary: fc.constantFrom(...(['ping', 'settle', 'subscribe', 'subscribe', 'query', 'queryLeave', 'refuse', 'tick', 'tick', 'terminate'] as const)).map(type => ({ type }) as const) },
)
interface F { values: number[]; ends: string[]; left: boolean; off: () => void }

async function run(steps: readonly Step[]) {
  const server = await startScriptedServer()
  const client = createClient({ url: server.url, webSocketImpl: WebSocket, retryWait: () => new Promise(r => setTimeout(r, 1)) })
  const history: HistoryEvent[] = []
  const all: F[] = []
  let refusals = 0
  const queries: Promise<unknown>[] = []
  const add = (k: HistoryEvent['kind']) => { const e = { value: history.length, kind: k }; history.push(e); server.add(e) }
  const subscribe = () => {
    const f: F = { values: [], ends: [], left: false, off: () => undefined }
    f.off = client.subscribe<{ numbers: number }>({ query: 'subscription { numbers }' }, {
      next: ({ data }) => { if (f.left || f.ends.length) f.ends.push('late next'); f.values.push(data?.numbers ?? -1) },
      error: e => f.ends.push(`error ${JSON.stringify(e)}`),
      complete: () => f.ends.push('complete'),
    })
    all.push(f)
  }
  const active = () => all.filter(f => !f.left && f.ends.length === 0)
  try {
    for (const s of steps) {
      if (s.type === 'add') s.kinds.forEach(add)
      else if (s.type === 'deliver') server.deliver(s.count)
      else if (s.type === 'kill') server.kill(s.code)
      else if (s.type === 'ping') server.ping()
      else if (s.type === 'subscribe') subscribe()
      else if (s.type === 'tick') await new Promise(r => setTimeout(r, 1))
      else if (s.type === 'terminate') client.terminate()
      else if (s.type === 'refuse') { server.refusal = [{ message: 'no', extensions: { code: 'CURSOR_EXPIRED' } }]; refusals++ }
      else if (s.type === 'query') queries.push(client.iterate({ query: '{ unary }' }).next().catch(e => { if (!JSON.stringify(e).includes('CURSOR')) throw e }))
      else if (s.type === 'queryLeave') { const off = client.subscribe({ query: '{ unary }' }, { next: () => off(), error: () => undefined, complete: () => undefined }) }
      else if (s.type === 'unsubscribe') { const f = active()[s.which]; if (f) { f.left = true; f.off() } }
      else if (s.type === 'settle') await waitUntil(() => { return true })
    }
    await Promise.all(queries)
    server.refusal = undefined
    let last = -1
    const n = () => active().length
    // all active follow exactly once each
    for (;;) {
      const k = n()
      const r = await Promise.race([server.following(k).then(() => 'ok', () => 'timeout'), waitUntil(() => n() !== k).then(() => 'changed', () => 'never')])
      if (r === 'ok' && n() === k) break
      if (r !== 'ok' && r !== 'changed') throw new Error('not following ' + k)
    }
    server.ping()
    for (let i = 0; i < 2; i++) { await new Promise(r => setTimeout(r, 3)) }
    add('durable'); last = history.length - 1
    await waitUntil(() => { server.deliver(); return active().every(f => f.values.includes(last)) }, 'the last')
    const durable = history.filter(h => h.kind === 'durable').map(h => h.value)
    for (const f of all) {
      if (f.values.length) {
        const from = durable.indexOf(f.values[0] as number)
        expect(f.values).toEqual(durable.slice(from, from + f.values.length))
      }
      if (f.left) expect(f.ends).toEqual(['complete'])
      else if (f.ends.length) expect(f.ends).toEqual([expect.stringContaining('CURSOR_EXPIRED')])
    }
    if (n() === 0) await waitUntil(() => server.sockets.size === 0, 'socket closed')
    else expect(server.sockets.size).toBe(1)
    await client.dispose()
    for (const f of all) expect(f.ends.length).toBe(1)
    void refusals
  } finally {
    await client.dispose()
    await server.close()
  }
}
it('fuzz', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), run), { numRuns: 2000, interruptAfterTimeLimit: 100_000, endOnFailure: true })
}, 200_000)
