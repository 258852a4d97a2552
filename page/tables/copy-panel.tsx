import { CodeLine } from '../parts/code-line.js'
import { graphqlUrl } from '../session/endpoint.js'
import { useSession } from '../session/session.js'
import { changesDocument, pageDocument, rowsDocument } from './documents.js'
import { curlLine, writingLines } from './lines.js'
import type { View } from './view.js'
import type { WatchedTable } from './watched-table.js'

/** What is on the screen as a GraphQL document and as a line for a terminal. */
export function CopyPanel({ table, view }: { readonly table: WatchedTable; readonly view: View }) {
  const { token } = useSession()
  const document =
    table.key.length === 0
      ? changesDocument(table, view)
      : view.size === 'all'
        ? rowsDocument(table, view)
        : pageDocument(table, view)
  return (
    <details className="copy-panel">
      <summary>The same in GraphQL and in a terminal</summary>
      <ul className="code-lines">
        <CodeLine label="GraphQL: what is shown here" text={document} />
        <CodeLine
          label="curl: what is shown here"
          text={curlLine(graphqlUrl(), document, token !== undefined)}
        />
        {writingLines(table).map(line => (
          <CodeLine key={line.label} {...line} />
        ))}
      </ul>
    </details>
  )
}
