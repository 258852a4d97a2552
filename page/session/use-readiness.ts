import { useEffect, useState } from 'react'
import { readinessUrl } from './endpoint.js'

/** What `/readyz` says: whether the server does its work, or why not. */
export type Readiness =
  | 'unknown'
  | 'ready'
  | 'database unreachable'
  | 'notifications not delivered'
  | 'log stalled'
  | 'stopping'
  | 'unreachable'

const INTERVAL_MS = 5_000

/** Asks the server while the tab is visible. */
export function useReadiness(): Readiness {
  const [readiness, setReadiness] = useState<Readiness>('unknown')
  useEffect(() => {
    let isOver = false
    const look = async () => {
      if (document.hidden) return
      const found = await read()
      if (!isOver) setReadiness(found)
    }
    const timer = setInterval(look, INTERVAL_MS)
    document.addEventListener('visibilitychange', look)
    void look()
    return () => {
      isOver = true
      clearInterval(timer)
      document.removeEventListener('visibilitychange', look)
    }
  }, [])
  return readiness
}

async function read(): Promise<Readiness> {
  try {
    const response = await fetch(readinessUrl(), { cache: 'no-store' })
    return readinessOf(response.status, await response.json())
  } catch {
    return 'unreachable'
  }
}

/** @param body as in src/telemetry/health.ts; of a proxy, it may be anything */
function readinessOf(status: number, body: unknown): Readiness {
  if (status === 200) return 'ready'
  const { status: state, database, notifications, log } = body as Readonly<Record<string, unknown>>
  if (database === 'unreachable') return 'database unreachable'
  if (state === 'stopping') return 'stopping'
  if (notifications !== undefined) return 'notifications not delivered'
  if (log !== undefined) return 'log stalled'
  return 'unreachable'
}
