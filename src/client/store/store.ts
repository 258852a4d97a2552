/** A value that changes, as React's `useSyncExternalStore` and the adapters of other libraries take it. */
export interface Store<Snapshot> {
  /** Calls the listener after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void
  /** Returns the same object until something has changed. */
  getSnapshot(): Snapshot
}
