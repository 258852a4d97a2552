import { useEffect } from 'react'
import type { SubscriptionError } from '../../src/client/subscription/subscription-error.js'
import { useSession } from './session.js'

/** Reports the error of a part of the page, as long as the part has it. */
export function useRefusal(part: string, about: string, error: SubscriptionError | undefined): void {
  const { refusals } = useSession()
  useEffect(() => {
    if (!error) return
    const { code, message, hint } = error
    refusals.report(part, { about, code, message, hint })
    return () => refusals.report(part, undefined)
  }, [refusals, part, about, error])
}
