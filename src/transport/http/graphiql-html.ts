import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageFolder } from './package-folder.js'

export interface GraphiqlHtmlOptions {
  readonly subscriptionsProtocol: 'SSE' | 'WS'
  /** The document that a user without one of their own begins with. */
  readonly defaultQuery: string
}

/**
 * Renders Yoga's GraphiQL with the mark of listenql, and with a layout for narrow screens. The document contains everything that it
 * needs, so that it works where a proxy passes on nothing but `/graphql`.
 *
 * @throws Error if the mark or the styles cannot be read: the package is incomplete
 */
export async function renderGraphiqlHtml(options: GraphiqlHtmlOptions): Promise<string> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql')
  const [svg, styles] = await Promise.all(
    ['page/public/assets/favicon.svg', 'assets/graphiql.css'].map(file =>
      readFile(join(packageFolder(), file), 'utf8'),
    ),
  )
  const mark = `data:image/svg+xml,${encodeURIComponent(svg as string)}`
  const html = renderGraphiQL({
    ...options,
    defaultEditorToolsVisibility: false, // variables and headers open by their buttons: the query has the room
    title: 'listenql',
    favicon: mark,
    // A relative link, so that it works under any prefix that a proxy adds.
    logo: `<a href="./" title="The page of this server"><img src="${mark}" alt="" width="28" height="28"></a>`,
  })
  // Without the viewport, a phone lays the page out 980 px wide. The styles come after Yoga's, which they change.
  const head = `<meta name="viewport" content="width=device-width, initial-scale=1"><style>${styles}</style></head>`
  return html.replace('</head>', () => head)
}
