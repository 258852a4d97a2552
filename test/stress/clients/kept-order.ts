import type { Account } from './scene.js'

/** Judges the order of a list of `liveRows` without `compare`. */
export interface KeptOrder {
  /** @param reads how often all rows have been read so far */
  see(rows: readonly Account[], reads: number): void
}

/** Rows that have been read are in the order of their keys. Those that come later are last, and a row that changes keeps its place. */
export function createKeptOrder(name: string, complain: (text: string) => void): KeptOrder {
  let before: readonly string[] = []
  let readsBefore = 0
  const identity = ({ id, born }: Account) => `${id}/${born}`
  return {
    see(rows, reads) {
      const now = rows.map(identity)
      if (reads !== readsBefore) {
        if (rows.some(({ id }, i) => i > 0 && id < (rows[i - 1] as Account).id))
          complain(`${name}: the rows that were read are not in the order of their keys: ${now}`)
      } else {
        const present = new Set(now)
        const stayed = before.filter(row => present.has(row))
        const wrong = stayed.findIndex((row, i) => now[i] !== row)
        if (wrong >= 0) complain(`${name}: ${stayed[wrong]} lost its place: ${before} became ${now}`)
      }
      before = now
      readsBefore = reads
    },
  }
}
