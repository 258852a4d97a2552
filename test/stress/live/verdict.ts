import { comparePositions, END_OF_BATCH, type Position } from '../../../src/log/position.js'
import { canonicalData } from './canonical-data.js'
import { type LiveDocument, printDocument, tablesOfDocument } from './document.js'
import type { History } from './history.js'
import { evaluate } from './model.js'
import { visibleTables } from './policies.js'
import type { Schema } from './schema.js'

export type ClaimKind = 'result' | 'keep-alive' | 'query' | 'at rest'

/** What a server has said: this is what a document returns at this position. */
export interface Claim {
  readonly kind: ClaimKind
  /** The client, and its transport. */
  readonly by: string
  /** The viewer's claim. Undefined: the viewer sees all rows. */
  readonly grade?: string | undefined
  readonly document: LiveDocument
  /** Undefined: at present. */
  readonly position: Position | undefined
  readonly data: object
}

/** The number of complaints that are enough. */
const MOST = 10

export interface Verdict {
  /** The kinds of the claims that were compared. */
  readonly judged: readonly ClaimKind[]
  readonly complaints: readonly string[]
}

/** Compares claims with the model, at the position of each. Positions within a batch are left out, because the model has none. */
export function judge(claims: readonly Claim[], history: History, schema: Schema): Verdict {
  const complaints: string[] = []
  const known = new Map<LiveDocument, Map<string | undefined, { versions: string; expected: string }>>()
  const reading = (table: string) =>
    schema.policies.find(policy => policy.table === table)?.relation?.to ?? []
  const judged: ClaimKind[] = []
  for (const claim of [...claims].sort(byPosition)) {
    const { kind, by, grade, document, position, data } = claim
    if (position && position.ord !== END_OF_BATCH) continue
    if (!history.moveTo(position)) {
      complaints.push(`${kind} of ${by}: batch ${position?.n} with token ${position?.token} does not exist`)
      continue
    }
    const tables = [...tablesOfDocument(document)]
    const versions = [...tables, ...tables.flatMap(reading)].map(history.version).join()
    const models = known.get(document) ?? new Map()
    known.set(document, models)
    let model = models.get(grade)
    if (model?.versions !== versions) {
      model = {
        versions,
        expected: JSON.stringify(evaluate(document, visibleTables(schema, history.tables(), grade), schema)),
      }
      models.set(grade, model)
    }
    judged.push(kind)
    const actual = JSON.stringify(canonicalData(document, data))
    if (actual === model.expected) continue
    if (complaints.length >= MOST) break
    complaints.push(
      `${kind} of ${by} of grade ${grade ?? 'any'} at batch ${position?.n ?? 'the newest'}: ${printDocument(document)}\nshows ${actual}\nnot   ${model.expected}`,
    )
  }
  return { judged, complaints }
}

function byPosition({ position: a }: Claim, { position: b }: Claim): number {
  if (!a || !b) return a ? -1 : b ? 1 : 0
  return comparePositions(a, b)
}
