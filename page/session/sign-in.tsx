import { type FormEvent, useId, useRef, useState } from 'react'
import { useSession } from './session.js'
import { claimsOf } from './token-claims.js'

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short', hourCycle: 'h23' })

/** A box for a token, or the name of the viewer that is signed in. */
export function SignIn() {
  const { token } = useSession()
  return token === undefined ? <TokenBox /> : <SignedIn token={token} />
}

function SignedIn({ token }: { readonly token: string }) {
  const { signOut } = useSession()
  const { name, expires } = claimsOf(token)
  return (
    <div className="signed-in">
      <p>
        <span className="viewer">{name ?? 'Signed in'}</span>
        {expires && <span className="soft"> until {clock.format(expires)}</span>}
      </p>
      <button type="button" onClick={signOut}>
        Sign out
      </button>
    </div>
  )
}

function TokenBox() {
  const { signIn } = useSession()
  const [isOpen, setOpen] = useState(false)
  const button = useRef<HTMLButtonElement>(null)
  const id = useId()

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const text = String(new FormData(event.currentTarget).get('token') ?? '').trim()
    if (text !== '') signIn(text.replace(/^bearer\s+/i, ''))
  }
  if (!isOpen)
    return (
      <button type="button" ref={button} aria-expanded="false" onClick={() => setOpen(true)}>
        Sign in
      </button>
    )
  return (
    <form
      className="token"
      autoComplete="off"
      onSubmit={submit}
      onKeyDown={event => event.key === 'Escape' && setOpen(false)}
    >
      <label htmlFor={id}>Token</label>
      <input
        id={id}
        name="token"
        type="password"
        required
        // biome-ignore lint/a11y/noAutofocus: the user has just asked for this box.
        autoFocus
        spellCheck={false}
        autoComplete="off"
        placeholder="JWT, kept in memory only"
      />
      <button type="submit" className="primary">
        Sign in
      </button>
      <button type="button" onClick={() => setOpen(false)}>
        Cancel
      </button>
    </form>
  )
}
