import { type FormEvent, useEffect, useRef, useState } from 'react'
import { useAddress } from '../address/use-address.js'
import { CodeLine } from '../parts/code-line.js'
import { graphqlUrl } from '../session/endpoint.js'
import { useSession } from '../session/session.js'
import { channelDocument, curlLine, notifyLine } from '../tables/lines.js'
import { ChannelCard } from './channel-card.js'
import { problemOf } from './channel-name.js'
import { useOpenChannels } from './use-open-channels.js'

const FIRST_NAME = 'people'

/** The channels that the page listens to, the newest first. */
export function Channels({ isStale }: { readonly isStale: boolean }) {
  const { token } = useSession()
  const [{ channels: given }, change] = useAddress()
  const channels = given.filter(name => problemOf(name) === undefined)
  const box = useRef<HTMLInputElement>(null)
  const [problem, setProblem] = useState<string>()
  const isOpen = useOpenChannels(channels)

  useEffect(() => {
    if (box.current && channels.length === 0) box.current.value = FIRST_NAME
  }, [])

  function connect(event: FormEvent) {
    event.preventDefault()
    const name = box.current?.value.trim() ?? ''
    const wrong = problemOf(name)
    setProblem(wrong)
    if (wrong !== undefined || !box.current) return
    if (!channels.includes(name)) change({ channels: [...channels, name] })
    box.current.value = ''
  }
  function remove(name: string) {
    change({ channels: channels.filter(each => each !== name) })
    box.current?.focus()
  }

  const example = channels.at(-1) ?? FIRST_NAME
  const document = channelDocument(example)
  return (
    <section id="channels" className="panel" aria-labelledby="channels-heading">
      <h2 id="channels-heading">Channels</h2>
      <form autoComplete="off" onSubmit={connect} noValidate>
        <label htmlFor="channel">Enter a channel name and click Connect</label>
        <div className="row">
          <input
            id="channel"
            ref={box}
            name="channel"
            spellCheck={false}
            autoCapitalize="none"
            autoCorrect="off"
            aria-invalid={problem !== undefined}
            aria-describedby="channel-error"
          />
          <button type="submit" className="primary">
            Connect
          </button>
        </div>
        <p id="channel-error" className="error" role="alert">
          {problem}
        </p>
      </form>
      {channels.length === 0 && (
        <p className="placeholder">
          No channel yet. Connect to one and send a notification: its payload appears here at once.
        </p>
      )}
      <div className="cards">
        {[...channels].reverse().map(name => (
          <ChannelCard
            key={name}
            name={name}
            isOpen={isOpen(name)}
            isStale={isStale}
            onRemove={() => remove(name)}
          />
        ))}
      </div>
      <details className="copy-panel" open={channels.length === 0}>
        <summary>From a terminal</summary>
        <ul className="code-lines">
          <CodeLine label="Listen with curl" text={curlLine(graphqlUrl(), document, token !== undefined)} />
          <CodeLine label="Notify the channel" text={notifyLine(example)} />
        </ul>
      </details>
    </section>
  )
}
