/** The part of `window` and `document` that is used here. */
interface Events {
  addEventListener?(type: string, listener: () => void): void
  removeEventListener?(type: string, listener: () => void): void
}
interface Page extends Events {
  readonly document?: Events & { readonly visibilityState?: string }
}

/**
 * Calls `check` when a browser says that the page may have been away: the network is back, the tab is shown again, or the page comes
 * out of the back/forward cache. Timers have stood still until then, so that the client would notice late.
 * @param page where the events are. Default: the global object; on a server it has none
 * @returns a function that stops it
 */
export function watchPage(check: () => void, page: Page = globalThis as Page): () => void {
  const { document } = page
  const shown = () => {
    if (document?.visibilityState === 'visible') check()
  }
  const watched: readonly (readonly [Events | undefined, string, () => void])[] = [
    [page, 'online', check],
    [page, 'pageshow', check],
    [document, 'visibilitychange', shown],
  ]
  for (const [target, type, listener] of watched) target?.addEventListener?.(type, listener)
  return () => {
    for (const [target, type, listener] of watched) target?.removeEventListener?.(type, listener)
  }
}
