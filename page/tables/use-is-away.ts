import { useEffect, useState } from 'react'

const AWAY_MS = 30_000

/** Whether the tab has been hidden for a while: what it shows need not be followed until it is shown again. */
export function useIsAway(): boolean {
  const [isAway, setAway] = useState(false)
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = () => {
      clearTimeout(timer)
      if (document.hidden) timer = setTimeout(setAway, AWAY_MS, true)
      else setAway(false)
    }
    document.addEventListener('visibilitychange', look)
    return () => {
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', look)
    }
  }, [])
  return isAway
}
