import { checkChannelPattern, checkOrigin } from '../checks.js'
import { boolean, count, list, table, text } from '../value-type.js'
import { option, optional } from './option.js'

const globs = list('GLOBS', checkChannelPattern)

/** Options of the group Access. */
export const accessOptions = {
  channels: optional({
    group: 'Access',
    type: globs,
    otherwise: '*; none once viewers have roles',
    example: ['people', 'room:*'],
    help: `Channels that all viewers may listen to, whatever their role; may contain \${claims.NAME}`,
    eventserv: 'Channels',
  }),
  publish: option({
    group: 'Access',
    type: globs,
    default: [],
    help: 'Channels on which all viewers may publish with the mutation notify; with the embedded Postgres, the default is all channels while viewers have no roles',
  }),
  roleChannels: option({
    group: 'Access',
    type: table('ROLE=GLOBS;…', checkChannelPattern),
    default: {},
    example: { user: ['people', `room:\${claims.room}`, `user.\${claims.sub}.*`] },
    help: 'Channels that viewers of a role may listen to, in addition to --channels',
  }),
  rolePublish: option({
    group: 'Access',
    type: table('ROLE=GLOBS;…', checkChannelPattern),
    default: {},
    example: { user: [`room:\${claims.room}`] },
    help: 'Channels on which viewers of a role may publish, in addition to --publish',
  }),
  corsOrigins: option({
    group: 'Access',
    type: list('ORIGINS', checkOrigin),
    default: [],
    help: 'Web origins, as globs, that may use the server from a browser, in addition to its own origin; * allows all origins',
    eventserv: 'CORSOrigins',
  }),
  trustedDocuments: optional({
    group: 'Access',
    type: text('FILE'),
    otherwise: 'none',
    example: 'persisted-documents.json',
    help: 'JSON file with the documents of your applications by id, as GraphQL Code Generator and Relay write it; clients may send the id in place of the document, and the limits on documents do not apply to them',
  }),
  trustedDocumentsOnly: option({
    group: 'Access',
    type: boolean,
    default: false,
    help: 'Refuse every document that is not in the file of --trusted-documents, including introspection and the documents of the page',
  }),
  persistedQueries: optional({
    group: 'Access',
    type: count,
    otherwise: 'none',
    example: 1000,
    help: "Number of documents that the server remembers for clients that send a document once and then its hash (Apollo's automatic persisted queries)",
  }),
} as const
