import { type DocumentNode, type FragmentDefinitionNode, Kind, type SelectionSetNode } from 'graphql'
import { LimitExceeded } from '../lib/limits/limit-exceeded.js'

/** Limits of a document; see the options of the same names. */
export interface DocumentLimits {
  /** In bytes. */
  readonly maxDocument: number
  readonly maxTokens: number
  readonly maxDepth: number
  readonly maxAliases: number
}

/** Runs before the document is parsed. @throws LimitExceeded */
export function checkDocumentSize(text: string, { maxDocument }: DocumentLimits): void {
  if (text.length > maxDocument || Buffer.byteLength(text) > maxDocument)
    throw new LimitExceeded(
      'maxDocument',
      maxDocument,
      `The document is longer than ${maxDocument} bytes.`,
      'pass values as variables; --max-document on the server sets the limit',
    )
}

export function tooManyTokens({ maxTokens }: DocumentLimits): LimitExceeded {
  return new LimitExceeded('maxTokens', maxTokens, `The document has more than ${maxTokens} tokens.`)
}

interface Cost {
  readonly depth: number
  readonly aliases: number
}

const NOTHING: Cost = { depth: 0, aliases: 0 }

/**
 * Visits each part of a parsed document once. Fragments count wherever they are used, but are measured once: a few lines may
 * name millions of fields (`a { ...B ...B }`, and so on). Validation refuses cyclic fragments.
 * @throws LimitExceeded
 */
export function checkDocument(document: DocumentNode, { maxDepth, maxAliases }: DocumentLimits): void {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  const measured = new Map<string, Cost>()

  function ofFragment(name: string): Cost {
    const known = measured.get(name)
    const fragment = fragments.get(name)
    if (known || !fragment) return known ?? NOTHING
    measured.set(name, NOTHING) // in case it is cyclic
    const cost = ofSelections(fragment.selectionSet)
    measured.set(name, cost)
    return cost
  }

  function ofSelections(set: SelectionSetNode | undefined): Cost {
    let depth = 0
    let aliases = 0
    for (const selection of set?.selections ?? []) {
      const isField = selection.kind === Kind.FIELD
      const inner =
        selection.kind === Kind.FRAGMENT_SPREAD
          ? ofFragment(selection.name.value)
          : ofSelections(selection.selectionSet)
      depth = Math.max(depth, inner.depth + (isField ? 1 : 0))
      aliases += inner.aliases + (isField && selection.alias ? 1 : 0)
    }
    return { depth, aliases }
  }

  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION && definition.kind !== Kind.FRAGMENT_DEFINITION)
      continue
    const { depth, aliases } =
      definition.kind === Kind.FRAGMENT_DEFINITION
        ? ofFragment(definition.name.value)
        : ofSelections(definition.selectionSet)
    if (depth > maxDepth)
      throw new LimitExceeded(
        'maxDepth',
        maxDepth,
        `Nested too deeply: ${depth} levels, ${maxDepth} are allowed.`,
      )
    if (aliases > maxAliases)
      throw new LimitExceeded(
        'maxAliases',
        maxAliases,
        `Too many aliases: ${aliases}, ${maxAliases} are allowed.`,
      )
  }
}
