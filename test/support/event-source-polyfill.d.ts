/** What tests use of it; it has no types of its own. */
declare module 'event-source-polyfill' {
  export class EventSourcePolyfill {
    readonly readyState: number
    constructor(url: string, options?: { headers?: Record<string, string> })
    addEventListener(type: string, listener: (event: { data: string; lastEventId: string }) => void): void
    close(): void
  }
}
