import type { SchemaContext } from '../../schema/context.js'
import type { Auth } from '../auth/index.js'
import { type Viewer, viewerName } from '../auth/viewer.js'
import type { Origin } from '../graphql/operation.js'
import type { Observe } from '../lib/observation.js'
import type { Pool } from '../postgres/pool.js'
import type { Sources } from './sources.js'

export interface ViewerContextOptions extends Pick<Sources, 'channels' | 'tables'> {
  readonly auth: Pick<Auth, 'rules'>
  readonly notify: Pool['notify']
  readonly observe: Observe
}

/** What the resolvers of an operation may do, for one viewer. @returns the context by viewer and client */
export function createViewerContext({
  auth,
  channels,
  tables,
  notify,
  observe,
}: ViewerContextOptions): (viewer: Viewer, origin?: Origin) => SchemaContext {
  return (viewer, origin) => ({
    channelSource: channels.source,
    async notify(channel, payload) {
      await notify(channel, payload)
      if (origin) observe({ type: 'channel.published', ...origin, ...viewerName(viewer), channel })
    },
    opensSources: true,
    keepsJsonText: true,
    viewer,
    rules: auth.rules.for(viewer),
    tableChanges: (table, request) => tables.changes(viewer, table, request),
    read: plan => tables.read(viewer, plan),
    live: (plan, every) => tables.live(viewer, plan, every),
    readable: table => tables.readable(viewer, table),
  })
}
