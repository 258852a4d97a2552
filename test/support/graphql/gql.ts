/* eslint-disable */
import * as types from './graphql.js';
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';

/**
 * Map of all GraphQL operations in the project.
 *
 * This map has several performance disadvantages:
 * 1. It is not tree-shakeable, so it will include all operations in the project.
 * 2. It is not minifiable, so the string of a GraphQL query will be multiple times inside the bundle.
 * 3. It does not support dead code elimination, so it will add unused operations.
 *
 * Therefore it is highly recommended to use the babel or swc plugin for production.
 * Learn more about it here: https://the-guild.dev/graphql/codegen/plugins/presets/preset-client#reducing-bundle-size
 */
type Documents = {
    "\n  query Listenable {\n    channels\n  }\n": typeof types.ListenableDocument,
    "\n  mutation Send($channel: String!) {\n    notify(channel: $channel, payload: \"sent\")\n  }\n": typeof types.SendDocument,
    "\n  subscription Listen($channel: String!) {\n    channel(name: $channel) {\n      payload\n    }\n  }\n": typeof types.ListenDocument,
    "\n  subscription ChannelEvents($name: String!) {\n    channel(name: $name) {\n      channel\n      payload\n      json\n      cursor\n      gap\n      at\n    }\n  }\n": typeof types.ChannelEventsDocument,
    "\n  mutation SendNotify($channel: String!, $payload: String!) {\n    notify(channel: $channel, payload: $payload)\n  }\n": typeof types.SendNotifyDocument,
    "\n  subscription LivePeople($limit: Int!, $places: VisitsListFilter) {\n    people(where: { visits: $places }, orderBy: [{ pk: ASC }], limit: $limit, every: 10) {\n      rows {\n        pk\n        name\n        visits(orderBy: [{ pk: DESC }]) {\n          place\n          person {\n            name\n          }\n        }\n        visitsAggregate {\n          count\n          avg {\n            pk\n          }\n        }\n      }\n    }\n  }\n": typeof types.LivePeopleDocument,
    "\n  subscription KeptPeople($where: PeopleFilter) {\n    peopleChanged(initial: true, where: $where) {\n      operation\n      key {\n        pk\n      }\n      row {\n        pk\n        name\n        age\n      }\n      transaction\n    }\n  }\n": typeof types.KeptPeopleDocument,
};
const documents: Documents = {
    "\n  query Listenable {\n    channels\n  }\n": types.ListenableDocument,
    "\n  mutation Send($channel: String!) {\n    notify(channel: $channel, payload: \"sent\")\n  }\n": types.SendDocument,
    "\n  subscription Listen($channel: String!) {\n    channel(name: $channel) {\n      payload\n    }\n  }\n": types.ListenDocument,
    "\n  subscription ChannelEvents($name: String!) {\n    channel(name: $name) {\n      channel\n      payload\n      json\n      cursor\n      gap\n      at\n    }\n  }\n": types.ChannelEventsDocument,
    "\n  mutation SendNotify($channel: String!, $payload: String!) {\n    notify(channel: $channel, payload: $payload)\n  }\n": types.SendNotifyDocument,
    "\n  subscription LivePeople($limit: Int!, $places: VisitsListFilter) {\n    people(where: { visits: $places }, orderBy: [{ pk: ASC }], limit: $limit, every: 10) {\n      rows {\n        pk\n        name\n        visits(orderBy: [{ pk: DESC }]) {\n          place\n          person {\n            name\n          }\n        }\n        visitsAggregate {\n          count\n          avg {\n            pk\n          }\n        }\n      }\n    }\n  }\n": types.LivePeopleDocument,
    "\n  subscription KeptPeople($where: PeopleFilter) {\n    peopleChanged(initial: true, where: $where) {\n      operation\n      key {\n        pk\n      }\n      row {\n        pk\n        name\n        age\n      }\n      transaction\n    }\n  }\n": types.KeptPeopleDocument,
};

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 *
 *
 * @example
 * ```ts
 * const query = graphql(`query GetUser($id: ID!) { user(id: $id) { name } }`);
 * ```
 *
 * The query argument is unknown!
 * Please regenerate the types.
 */
export function graphql(source: string): unknown;

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Listenable {\n    channels\n  }\n"): (typeof documents)["\n  query Listenable {\n    channels\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation Send($channel: String!) {\n    notify(channel: $channel, payload: \"sent\")\n  }\n"): (typeof documents)["\n  mutation Send($channel: String!) {\n    notify(channel: $channel, payload: \"sent\")\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription Listen($channel: String!) {\n    channel(name: $channel) {\n      payload\n    }\n  }\n"): (typeof documents)["\n  subscription Listen($channel: String!) {\n    channel(name: $channel) {\n      payload\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription ChannelEvents($name: String!) {\n    channel(name: $name) {\n      channel\n      payload\n      json\n      cursor\n      gap\n      at\n    }\n  }\n"): (typeof documents)["\n  subscription ChannelEvents($name: String!) {\n    channel(name: $name) {\n      channel\n      payload\n      json\n      cursor\n      gap\n      at\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation SendNotify($channel: String!, $payload: String!) {\n    notify(channel: $channel, payload: $payload)\n  }\n"): (typeof documents)["\n  mutation SendNotify($channel: String!, $payload: String!) {\n    notify(channel: $channel, payload: $payload)\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription LivePeople($limit: Int!, $places: VisitsListFilter) {\n    people(where: { visits: $places }, orderBy: [{ pk: ASC }], limit: $limit, every: 10) {\n      rows {\n        pk\n        name\n        visits(orderBy: [{ pk: DESC }]) {\n          place\n          person {\n            name\n          }\n        }\n        visitsAggregate {\n          count\n          avg {\n            pk\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription LivePeople($limit: Int!, $places: VisitsListFilter) {\n    people(where: { visits: $places }, orderBy: [{ pk: ASC }], limit: $limit, every: 10) {\n      rows {\n        pk\n        name\n        visits(orderBy: [{ pk: DESC }]) {\n          place\n          person {\n            name\n          }\n        }\n        visitsAggregate {\n          count\n          avg {\n            pk\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription KeptPeople($where: PeopleFilter) {\n    peopleChanged(initial: true, where: $where) {\n      operation\n      key {\n        pk\n      }\n      row {\n        pk\n        name\n        age\n      }\n      transaction\n    }\n  }\n"): (typeof documents)["\n  subscription KeptPeople($where: PeopleFilter) {\n    peopleChanged(initial: true, where: $where) {\n      operation\n      key {\n        pk\n      }\n      row {\n        pk\n        name\n        age\n      }\n      transaction\n    }\n  }\n"];

export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}

export type DocumentType<TDocumentNode extends DocumentNode<any, any>> = TDocumentNode extends DocumentNode<  infer TType,  any>  ? TType  : never;