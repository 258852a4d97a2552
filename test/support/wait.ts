import { connect } from 'node:net'

/**
 * Polls for a condition that has no event, such as a state inside Postgres. Throws after `ms` milliseconds.
 * @returns the last result of `check`
 */
export async function waitUntil<T>(
  check: () => T | Promise<T>,
  what: string | (() => string) = 'a condition',
  ms = 20_000,
): Promise<NonNullable<T>> {
  for (const deadline = Date.now() + ms; ; ) {
    const value = await check()
    if (value) return value as NonNullable<T>
    if (Date.now() > deadline)
      throw new Error(`waited ${ms} ms for ${typeof what === 'string' ? what : what()}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** Returns whether a process listens on this port of the machine. */
export function canConnect(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
