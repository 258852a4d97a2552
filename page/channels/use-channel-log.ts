import { useEffect, useMemo, useState } from 'react'
import { useListenqlClient } from '../../src/client/react/index.js'
import { type ChannelLog, type ChannelState, createChannelLog } from './channel-log.js'

/** Listens while the component is mounted. Rendered once in a frame, whatever the rate. */
export function useChannelLog(name: string): [ChannelState, Pick<ChannelLog, 'connect' | 'disconnect'>] {
  const client = useListenqlClient()
  const log = useMemo(() => createChannelLog(client, name), [client, name])
  const [state, setState] = useState(log.getSnapshot)
  useEffect(() => {
    let frame: number | undefined
    const show = () => {
      frame = undefined
      setState(log.getSnapshot())
    }
    const unsubscribe = log.subscribe(() => {
      frame ??= requestAnimationFrame(show)
    })
    log.connect()
    return () => {
      unsubscribe()
      if (frame !== undefined) cancelAnimationFrame(frame)
      log.disconnect()
    }
  }, [log])
  return [state, log]
}
