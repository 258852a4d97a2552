import { useId } from 'react'
import { useRefusal } from '../session/use-refusal.js'
import { listStatus } from '../tables/table-status.js'
import type { Entry } from './channel-log.js'
import { pretty } from './pretty.js'
import { SendBox } from './send-box.js'
import { useChannelLog } from './use-channel-log.js'

export interface ChannelCardProps {
  readonly name: string
  /** Whether the viewer may publish on it. */
  readonly isOpen: boolean
  readonly isStale: boolean
  readonly onRemove: () => void
}

const MAX_PAYLOAD = 100_000
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })

/** A channel and what it has received, newest first. */
export function ChannelCard({ name, isOpen, isStale, onRemove }: ChannelCardProps) {
  const [{ state, error, isConnected, entries, received }, log] = useChannelLog(name)
  const heading = useId()
  useRefusal(`channel ${name}`, `channel ${name}`, error)
  const isOff = !isConnected && state === 'closed'
  const status = listStatus(state, error, isStale, { loading: 'Connecting…', live: 'Listening' })
  const verb = isConnected ? 'Disconnect' : 'Connect'
  return (
    <article className="card" aria-label={`Channel ${name}`} data-state={isOff ? 'off' : status.state}>
      <header>
        <h3 id={heading}>{name}</h3>
        <div className="actions">
          <button
            type="button"
            aria-label={`${verb} ${name}`}
            onClick={isConnected ? log.disconnect : log.connect}
          >
            {verb}
          </button>
          <button type="button" aria-label={`Remove ${name}`} onClick={onRemove}>
            Remove
          </button>
        </div>
        <div className="line">
          <p className="status" role="status">
            {isOff ? 'Disconnected' : status.text}
          </p>
          <p className="count">
            {received === 1 ? '1 message' : `${received.toLocaleString('en')} messages`}
          </p>
        </div>
      </header>
      {isOpen && <SendBox channel={name} />}
      {entries.length > 0 ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable with the keyboard.
        <ol className="payloads" tabIndex={0} aria-label={`Payloads of ${name}, newest first`}>
          {entries.map(entry => (
            <Item key={entry.id} entry={entry} />
          ))}
        </ol>
      ) : (
        status.state !== 'refused' && <p className="placeholder">Nothing has arrived yet.</p>
      )}
    </article>
  )
}

function Item({ entry: { payload, mark, at } }: { readonly entry: Entry }) {
  if (payload === undefined) return <li className="gap">{mark}</li>
  return (
    <li>
      <time dateTime={at.toISOString()}>{clock.format(at)}</time>
      {payload === '' ? <pre className="empty">(empty)</pre> : <pre>{shown(payload)}</pre>}
    </li>
  )
}

function shown(text: string): string {
  if (text.length <= MAX_PAYLOAD) return pretty(text)
  return `${text.slice(0, MAX_PAYLOAD)}\n… ${(text.length - MAX_PAYLOAD).toLocaleString('en')} more characters are not shown`
}
