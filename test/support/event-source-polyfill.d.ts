/** The part of its interface that tests use; the package has no types. */
declare module 'event-source-polyfill' {
  export class EventSourcePolyfill {
    readonly readyState: number
    constructor(url: string, options?: { headers?: Record<string, string> })
    addEventListener(type: string, listener: (event: { data: string; lastEventId: string }) => void): void
    close(): void
  }
}
