import type { Observe } from '../../lib/observation.js'
import { type AuditEntry, auditEntry } from './audit-lines.js'
import { openTarget } from './audit-target.js'
import { createAuditWriter } from './audit-writer.js'

/** A file with one JSON object on each line, for each subscription, refusal, ended session and published message. */
export interface AuditLog {
  readonly observe: Observe
  /** Closes the file, after it was renamed; the next line creates it anew. */
  reopen(): void
  /** Writes what waits. Idempotent. */
  close(): Promise<void>
}

/**
 * @param target the path of a file, or `-` for standard output
 * @param observe gets `audit.lost`
 * @throws ListenqlError BAD_CONFIGURATION: the file cannot be opened
 */
export function createAuditLog(target: string, observe: Observe): AuditLog {
  const writer = createAuditWriter({
    ...openTarget(target),
    lostLine: lines => lineOf({ event: 'lost', lines }),
    onTrouble: (lines, reason) => observe({ type: 'audit.lost', lines, reason }),
  })
  return {
    observe(observation) {
      const entry = auditEntry(observation)
      if (entry) writer.append(lineOf(entry))
    },
    reopen: () => writer.reopen(),
    close: () => writer.close(),
  }
}

function lineOf(entry: AuditEntry): string {
  return JSON.stringify({ time: new Date().toISOString(), ...entry })
}
