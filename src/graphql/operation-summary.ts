import { type DocumentNode, Kind, type OperationDefinitionNode, type SelectionSetNode } from 'graphql'
import type { OperationSummary } from '../lib/observation.js'
import { sha256Of } from './documents/trusted-documents.js'

/** Most root fields that a summary lists. */
const MAX_FIELDS = 20

/** By parsed document, then by the name of the operation. */
const known = new WeakMap<DocumentNode, Map<string, OperationSummary>>()

/**
 * Says which operation a request runs, without values of arguments and variables.
 * @param id the id of a trusted document. Undefined: the SHA-256 of the text identifies the document
 */
export function summaryOf(
  document: DocumentNode,
  operation: OperationDefinitionNode,
  text: string,
  id: string | undefined,
): OperationSummary {
  const ofDocument = known.get(document) ?? new Map<string, OperationSummary>()
  known.set(document, ofDocument)
  const name = operation.name?.value
  const summary = ofDocument.get(name ?? '') ?? {
    kind: operation.operation,
    name,
    fields: [...rootFields(document, operation.selectionSet, new Set(), new Set())].slice(0, MAX_FIELDS),
    document: id ?? `sha256:${sha256Of(text)}`,
  }
  ofDocument.set(name ?? '', summary)
  return summary
}

function rootFields(
  document: DocumentNode,
  { selections }: SelectionSetNode,
  found: Set<string>,
  seen: Set<string>,
): Set<string> {
  for (const selection of selections) {
    if (selection.kind === Kind.FIELD) found.add(selection.name.value)
    else if (selection.kind === Kind.INLINE_FRAGMENT)
      rootFields(document, selection.selectionSet, found, seen)
    else if (!seen.has(selection.name.value)) {
      seen.add(selection.name.value)
      for (const one of document.definitions)
        if (one.kind === Kind.FRAGMENT_DEFINITION && one.name.value === selection.name.value)
          rootFields(document, one.selectionSet, found, seen)
    }
  }
  return found
}
