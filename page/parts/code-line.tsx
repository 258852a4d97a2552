import { CopyButton } from './copy-button.js'

export interface CodeLineProps {
  readonly label: string
  readonly text: string
}

/** A text for a terminal or an editor, with a button that copies it. */
export function CodeLine({ label, text }: CodeLineProps) {
  return (
    <li className="code-line">
      <h4>{label}</h4>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable with the keyboard. */}
      <code tabIndex={0}>{text}</code>
      <CopyButton label={label} text={text} />
    </li>
  )
}
