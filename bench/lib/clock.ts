import { performance } from 'node:perf_hooks'

// The sum counts from the same moment in every process; performance.now() alone counts from the start of the process.
const OFFSET = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000

/** Microseconds of a clock that all processes of this machine share. */
export function now(): number {
  return OFFSET + performance.now() * 1000
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
