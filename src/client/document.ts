import type { DocumentNode } from 'graphql'
import { printDocument } from './print-document.js'

/** What GraphQL Code Generator adds to the type of a document: the types of its result and variables. */
export interface TypedDocument<Data, Variables> {
  /** Exists in the type only. */
  readonly __apiType?: (variables: Variables) => Data
}

/** A GraphQL document: a text, or a document of `gql` or GraphQL Code Generator, whose types the helpers then use. */
export type Document<Data, Variables> =
  | string
  | (DocumentNode & TypedDocument<Data, Variables>)
  // codegen's `documentMode: 'string'`
  | (string & TypedDocument<Data, Variables>)
  | (string & TypedDocument<Data, Variables>)

/** Documents are written once and used in each rendering. */
const texts = new WeakMap<object, string>()

/** Returns the text of a document, as a request contains it. */
export function textOf(document: string | string | DocumentNode): string {
  if (typeof document !== 'object' || !('kind' in document)) return String(document)
  let text = texts.get(document)
  if (text === undefined) {
    text = printDocument(document)
    texts.set(document, text)
  }
  return text
}
