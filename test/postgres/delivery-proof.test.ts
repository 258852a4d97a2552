import { expect, it } from 'vitest'
import { createDeliveryProof, PROOF_CHANNEL, type ProofSender } from '../../src/postgres/delivery-proof.js'

/** A sender whose notifications are kept, and answered when the test says so. */
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

it('a notification that comes between statements is proof until it is renewed', () => {
  const { proof } = createProof(1000)
  expect(proof.renew()).toBe(false)
  proof.heard(true)
  proof.heard(true)
  expect(proof.renew()).toBe(true)
  expect(proof.renew()).toBe(false)
})

it('one that comes while a statement is under way proves nothing', () => {
  const { proof } = createProof(1000)
  proof.heard(false)
  expect(proof.renew()).toBe(false)
})

it('an attempt succeeds once any notification has come, its own or another', async () => {
  const { proof } = createProof(60_000)
  const { sender, sent } = createSender()
  const attempt = proof.attempt(sender)
  proof.heard(false)
  expect(sent).toEqual([expect.stringMatching(`^${PROOF_CHANNEL} [0-9a-f]{16}$`)])
  proof.heard(true)
  expect(await attempt).toBe(true)
})

it('an attempt fails when its patience is used up', async () => {
  const { proof } = createProof(5)
  expect(await proof.attempt(createSender().sender)).toBe(false)
})

it('time in which the connection is paused does not count', async () => {
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

it('an attempt ends with the connection, although the sender is not answered', async () => {
  const { proof, end } = createProof(60_000)
  const attempt = proof.attempt({ notify: () => new Promise(() => undefined), release: () => undefined })
  end.abort()
  expect(await attempt).toBe(true)
  expect(await proof.attempt(createSender().sender)).toBe(true)
})
