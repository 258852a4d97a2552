import { useMemo, useSyncExternalStore } from 'react'
import { type Address, readAddress, writeAddress } from './address.js'

const listeners = new Set<() => void>()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  addEventListener('hashchange', listener)
  return () => {
    listeners.delete(listener)
    removeEventListener('hashchange', listener)
  }
}

/** What the page shows, and a function that changes it. The page's address has it, so that a reload and a copied link keep it. */
export function useAddress(): [Address, (change: Partial<Address>) => void] {
  const hash = useSyncExternalStore(subscribe, () => location.hash)
  return [useMemo(() => readAddress(hash), [hash]), changeAddress]
}

function changeAddress(change: Partial<Address>): void {
  const text = writeAddress({ ...readAddress(location.hash), ...change })
  // replaceState makes neither an entry in the history nor a hashchange event.
  history.replaceState(null, '', text === '' ? location.pathname + location.search : `#${text}`)
  for (const listener of [...listeners]) listener()
}
