/** Ends what returned it: a subscription, a listener, a timer. Idempotent. */
export type Stop = () => void
