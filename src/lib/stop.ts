/** Ends a subscription, a listener or a timer. Idempotent. */
export type Stop = () => void
