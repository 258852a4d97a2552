import { useEffect, useState } from 'react'
import { useSession } from '../session/session.js'

/** Says of each channel whether the viewer may publish on it; false until the server has answered. */
export function useOpenChannels(channels: readonly string[]): (name: string) => boolean {
  const { ask } = useSession()
  const [open, setOpen] = useState<ReadonlySet<string>>(NONE)
  const names = JSON.stringify(channels)
  useEffect(() => {
    let isOver = false
    const fields = (JSON.parse(names) as readonly string[]).map(
      (name, index) => `c${index}: mayPublish(channel: ${JSON.stringify(name)})`,
    )
    if (fields.length === 0) return
    ask<Readonly<Record<string, boolean>>>(`{ ${fields.join(' ')} }`)
      .then(answer => {
        if (!isOver) setOpen(new Set(channels.filter((_, index) => answer[`c${index}`])))
      })
      .catch(() => undefined) // an older server, or one that is away: without a box, nothing is missing
    return () => {
      isOver = true
    }
  }, [ask, names])
  return name => open.has(name)
}

const NONE: ReadonlySet<string> = new Set()
