import type { Alteration } from '../altering.js'

/** A subscription that selects the renamed column ends with SCHEMA_CHANGED, all others on the table read their rows again. */
export const ALTERATIONS: readonly Alteration[] = [
  ['alter table accounts add column if not exists extra int default 5'],
  ['alter table accounts drop column if exists extra'],
  ['alter table accounts rename label to tag', 'alter table accounts rename tag to label'],
  ['alter table owners add column if not exists extra int', 'alter table owners drop column extra'],
]
