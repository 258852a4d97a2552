import { expect, it } from 'vitest'
import { createDeliveryProof, PROOF_CHANNEL, type ProofSender } from '../../src/postgres/delivery-proof.js'

/** A sender that records its notifications, and answers them when the test says so. */
function createSender() {
  const sent: string[] = []
  const sender: ProofSender = {
    async notify(channel, payload) {
      sent.push(`${channel} ${payload}`)
    },
    release: () => undefined,
  }
  return { sender, sent }
}

function createProof(patience: number, isPaused = () => false) {
  const end = new AbortController()
  return { end, proof: createDeliveryProof({ patience, isPaused, signal: end.signal }) }
}

it('a notification between statements is a proof until the proof is renewed', () => {
  const { proof } = createProof(1000)
  expect(proof.renew()).toBe(false)
  proof.heard(true)
  proof.heard(true)
  expect(proof.renew()).toBe(true)
  expect(proof.renew()).toBe(false)
})

it('a notification during a statement proves nothing', () => {
  const { proof } = createProof(1000)
  proof.heard(false)
  expect(proof.renew()).toBe(false)
})

it('an attempt succeeds once any notification has arrived, its own or another', async () => {
  const { proof } = createProof(60_000)
  const { sender, sent } = createSender()
  const attempt = proof.attempt(sender)
  proof.heard(false)
  expect(sent).toEqual([expect.stringMatching(`^${PROOF_CHANNEL} [0-9a-f]{16}$`)])
  proof.heard(true)
  expect(await attempt).toBe(true)
})

it('an attempt fails when its time is used up', async () => {
  const { proof } = createProof(5)
  expect(await proof.attempt(createSender().sender)).toBe(false)
})

it('time during which the connection is paused does not count', async () => {
  let looks = 0
  const { proof } = createProof(5, () => ++looks < 20)
  expect(await proof.attempt(createSender().sender)).toBe(false)
  expect(looks).toBeGreaterThanOrEqual(20)
})

it('a sender that fails refutes nothing', async () => {
  const { proof } = createProof(5)
  const sender: ProofSender = {
    notify: () => Promise.reject(new Error('the queue is full')),
    release: () => undefined,
  }
  await expect(proof.attempt(sender)).rejects.toThrow('the queue is full')
})

it('an attempt ends with the connection, even if the sender gets no answer', async () => {
  const { proof, end } = createProof(60_000)
  const attempt = proof.attempt({ notify: () => new Promise(() => undefined), release: () => undefined })
  end.abort()
  expect(await attempt).toBe(true)
  expect(await proof.attempt(createSender().sender)).toBe(true)
})
