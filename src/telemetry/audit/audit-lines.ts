import type { Observation, OperationSummary, ViewerName } from '../../lib/observation.js'

/** Longest text of a client in a line, in characters. */
const MAX_TEXT = 200

/** A line of the audit log: a flat object whose first properties are `time` and `event`. */
export type AuditEntry = Readonly<Record<string, string | number | readonly string[] | undefined>>

/**
 * Returns the entry for an observation; undefined if the audit log has none for it. An entry never has payloads, rows, values of
 * variables or tokens: it has the names of the operation, of its root fields and of the table or channel, and the id or hash of the
 * document.
 */
export function auditEntry(observation: Observation): AuditEntry | undefined {
  switch (observation.type) {
    case 'subscriber.joined':
      return { event: 'subscription.started', ...subscriptionOf(observation) }
    case 'subscriber.left': {
      const { lasted, results, reason } = observation
      return { event: 'subscription.ended', ...subscriptionOf(observation), ms: lasted, results, reason }
    }
    case 'viewer.refused': {
      const { code, reason } = observation
      return { event: 'refused', ...placeOf(observation), code, detail: shorten(reason) }
    }
    case 'request.refused': {
      const { status, message } = observation
      return { event: 'refused', ...placeOf(observation), status, detail: shorten(message) }
    }
    case 'operation.refused': {
      const { code, limit, operation } = observation
      return {
        event: 'refused',
        ...placeOf(observation),
        ...viewerOf(observation),
        code,
        limit,
        ...operationOf(operation),
      }
    }
    case 'viewer.ended':
      return {
        event: 'session.ended',
        ...placeOf(observation),
        ...viewerOf(observation),
        reason: observation.why,
      }
    case 'channel.published': {
      const { channel } = observation
      return { event: 'published', ...placeOf(observation), ...viewerOf(observation), channel }
    }
    default:
      return undefined
  }
}

function subscriptionOf(
  observation: Extract<Observation, { type: 'subscriber.joined' | 'subscriber.left' }>,
): AuditEntry {
  const { subscription, topic, operation } = observation
  return { subscription, ...placeOf(observation), ...viewerOf(observation), topic, ...operationOf(operation) }
}

function placeOf({ transport, remote }: { readonly transport: string; readonly remote: string }): AuditEntry {
  return { transport, remote }
}

function viewerOf({ role, user }: ViewerName): AuditEntry {
  return { role, user: user && shorten(user) }
}

function operationOf(operation: OperationSummary | undefined): AuditEntry {
  if (!operation) return {}
  const { kind, name, fields, document } = operation
  return { kind, operation: name && shorten(name), fields: fields.map(shorten), document: shorten(document) }
}

function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}
