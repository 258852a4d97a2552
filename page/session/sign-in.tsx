import { type FormEvent, useEffect, useId, useRef, useState } from 'react'
import { useSession } from './session.js'
import { claimsOf } from './token-claims.js'

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short', hourCycle: 'h23' })

/** A box for a token, or the name of the viewer that is signed in. The focus stays here when one replaces the other. */
export function SignIn() {
  const { token, signIn, signOut } = useSession()
  const [isOpen, setOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const step = token === undefined ? (isOpen ? 'box' : 'button') : 'viewer'
  const last = useRef(step)
  useEffect(() => {
    if (last.current === step) return
    last.current = step
    box.current?.querySelector<HTMLElement>('input, button')?.focus()
  }, [step])
  return (
    <div className="sign-in" ref={box}>
      {step === 'button' && (
        <button type="button" onClick={() => setOpen(true)}>
          Sign in
        </button>
      )}
      {step === 'box' && (
        <TokenBox
          onToken={text => {
            setOpen(false)
            signIn(text)
          }}
          onCancel={() => setOpen(false)}
        />
      )}
      {token !== undefined && <Viewer token={token} onSignOut={signOut} />}
    </div>
  )
}

function Viewer({ token, onSignOut }: { readonly token: string; readonly onSignOut: () => void }) {
  const { name, expires } = claimsOf(token)
  return (
    <>
      <p>
        <span className="viewer">{name ?? 'Token'}</span>
        {expires && <span className="soft"> until {clock.format(expires)}</span>}
      </p>
      <button type="button" onClick={onSignOut}>
        Sign out
      </button>
    </>
  )
}

interface TokenBoxProps {
  readonly onToken: (token: string) => void
  readonly onCancel: () => void
}

function TokenBox({ onToken, onCancel }: TokenBoxProps) {
  const id = useId()
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const text = String(new FormData(event.currentTarget).get('token') ?? '').trim()
    if (text !== '') onToken(text.replace(/^bearer\s+/i, ''))
  }
  return (
    <form
      className="token"
      autoComplete="off"
      onSubmit={submit}
      onKeyDown={event => event.key === 'Escape' && onCancel()}
    >
      <label htmlFor={id}>Token</label>
      <input
        id={id}
        name="token"
        type="password"
        required
        spellCheck={false}
        autoComplete="off"
        placeholder="JWT, kept in memory only"
      />
      <button type="submit" className="primary">
        Sign in
      </button>
      <button type="button" onClick={onCancel}>
        Cancel
      </button>
    </form>
  )
}
