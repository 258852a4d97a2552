import type { Outbound } from '../../delivery/outbound.js'
import type { ClientMemory } from '../../lib/limits/client-memory.js'

/** Above the limit, memory is reduced to this part of it, so that not every further frame cuts a connection off. */
const RELIEF_PART = 7 / 8

/**
 * If more data waits for all connections together than there is memory for, the connections with the most waiting data are cut off
 * until the rest fits. Their clients reconnect; subscriptions that have a cursor resume without loss.
 */
export function relieve(memory: ClientMemory, outbounds: Iterable<Outbound>): void {
  const isOver = () => memory.held + memory.waiting > memory.max * RELIEF_PART
  if (memory.held + memory.waiting <= memory.max) return
  const burdens = [...outbounds].map(outbound => ({ outbound, burden: outbound.burden }))
  for (const { outbound, burden } of burdens.sort((a, b) => b.burden - a.burden)) {
    if (burden === 0 || !isOver()) return
    outbound.cut('memory-full', burden)
  }
}
