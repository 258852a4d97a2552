import { useEffect, useRef, useState } from 'react'

export interface CopyButtonProps {
  /** What is copied, for screen readers. */
  readonly label: string
  readonly text: string
  /** Returns the element with the text, which is selected where the page may not write to the clipboard. */
  readonly source?: () => Element | null
}

const SHOWN_MS = 1_500

/** Outside of https and localhost, a page has no clipboard: then the text is selected, so that one key copies it. */
export function CopyButton({ label, text, source }: CopyButtonProps) {
  const [done, setDone] = useState<'Copied' | 'Selected'>()
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (!done) return
    const timer = setTimeout(setDone, SHOWN_MS, undefined)
    return () => clearTimeout(timer)
  }, [done])
  async function copy() {
    try {
      await navigator.clipboard.writeText(text)
      setDone('Copied')
    } catch {
      const element = source?.() ?? button.current?.previousElementSibling
      if (element) getSelection()?.selectAllChildren(element)
      setDone('Selected')
    }
  }
  return (
    <>
      <button type="button" ref={button} className="copy" aria-label={`Copy: ${label}`} onClick={copy}>
        {done ?? 'Copy'}
      </button>
      <span className="visually-hidden" role="status">
        {done === 'Copied' && `Copied: ${label}`}
        {done === 'Selected' && 'Selected. Press Ctrl+C to copy.'}
      </span>
    </>
  )
}
