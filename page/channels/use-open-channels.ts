import { useEffect, useState } from 'react'
import { SubscriptionError } from '../../src/client/subscription/subscription-error.js'
import { AWAY } from '../session/ask.js'
import { useSession } from '../session/session.js'

const RETRY_MS = 5_000

/** Says of each channel whether the viewer may publish on it; false until the server has answered. */
export function useOpenChannels(channels: readonly string[]): (name: string) => boolean {
  const { ask } = useSession()
  const [open, setOpen] = useState<ReadonlySet<string>>(NONE)
  const names = JSON.stringify(channels)
  useEffect(() => {
    const fields = (JSON.parse(names) as readonly string[]).map(
      (name, index) => `c${index}: mayPublish(channel: ${JSON.stringify(name)})`,
    )
    if (fields.length === 0) return
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async () => {
      try {
        const answer = await ask<Readonly<Record<string, boolean>>>(`{ ${fields.join(' ')} }`)
        if (!isOver) setOpen(new Set(channels.filter((_, index) => answer[`c${index}`])))
      } catch (error) {
        const isAway = error instanceof SubscriptionError && error.code === AWAY
        if (isAway && !isOver) timer = setTimeout(look, RETRY_MS)
      }
    }
    void look()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [ask, names])
  return name => open.has(name)
}

const NONE: ReadonlySet<string> = new Set()
