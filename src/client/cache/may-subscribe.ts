/** Whether this is a browser, React Native or a worker, and not a server that renders pages. */
export function maySubscribe(): boolean {
  return 'window' in globalThis || 'WorkerGlobalScope' in globalThis
}
