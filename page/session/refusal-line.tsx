import { useSyncExternalStore } from 'react'
import { useSession } from './session.js'
import { sentence, whatToDo } from './what-to-do.js'

/** The newest refusal: its code, what it says, and what to do. It stays in sight until its cause is gone or the user hides it. */
export function RefusalLine() {
  const { refusals } = useSession()
  const refusal = useSyncExternalStore(refusals.subscribe, refusals.getSnapshot)
  return (
    <div role="alert" className="refusal-box">
      {refusal && (
        <div className="refusal">
          <p>
            {refusal.code && <strong className="code">{refusal.code}</strong>} {refusal.about}:{' '}
            {sentence(refusal.message)} <span className="remedy">{whatToDo(refusal.code, refusal.hint)}</span>
          </p>
          <button type="button" aria-label="Hide this message" onClick={refusals.dismiss}>
            ×
          </button>
        </div>
      )}
    </div>
  )
}
