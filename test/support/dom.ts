/**
 * Defines in Node what @microsoft/fetch-event-source needs of a page: a document that is never hidden, and timers on `window`.
 */
export function pretendPage(): void {
  const ignore = () => undefined
  Object.assign(globalThis, {
    window: globalThis,
    document: { hidden: false, addEventListener: ignore, removeEventListener: ignore },
  })
}
