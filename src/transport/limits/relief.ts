import type { Outbound } from '../../delivery/outbound.js'
import type { ClientMemory } from '../../lib/limits/client-memory.js'

/** Once too much is held, it is brought down to this part of what may be, so that not every further frame cuts somebody off. */
const RELIEF_PART = 7 / 8

/**
 * More waits for all connections together than there is memory for: those for which most waits are cut off, until the rest has
 * room. They come back, and lose nothing, since they can resume.
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
