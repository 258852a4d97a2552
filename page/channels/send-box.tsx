import { type FormEvent, useId, useState } from 'react'
import { SubscriptionError } from '../../src/client/subscription/subscription-error.js'
import { useSession } from '../session/session.js'
import { useRefusal } from '../session/use-refusal.js'

const MUTATION =
  'mutation ($channel: String!, $payload: String!) { notify(channel: $channel, payload: $payload) }'

/** Sends a message to the channel. It arrives in the list like every other one. */
export function SendBox({ channel }: { readonly channel: string }) {
  const { ask } = useSession()
  const [error, setError] = useState<SubscriptionError>()
  const id = useId()
  useRefusal(`send ${channel}`, `message to ${channel}`, error)

  async function send(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    const payload = String(new FormData(form).get('payload') ?? '')
    try {
      await ask(MUTATION, { channel, payload })
      setError(undefined)
      form.reset()
    } catch (cause) {
      setError(cause instanceof SubscriptionError ? cause : new SubscriptionError(cause))
    }
  }
  return (
    <form className="send" autoComplete="off" onSubmit={send}>
      <label className="visually-hidden" htmlFor={id}>
        Message to {channel}
      </label>
      <input id={id} name="payload" placeholder="Message" spellCheck={false} />
      <button type="submit" aria-label={`Send to ${channel}`}>
        Send
      </button>
    </form>
  )
}
