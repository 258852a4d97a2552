/** A list of rows that a state shows. */
export interface RowList {
  /** The response keys that lead from the root field to the object whose lists show these rows. */
  readonly path: readonly string[]
  /** Rows with equal texts are shown alike. Without a text: unknown. */
  readonly rows: readonly { readonly text?: string | undefined }[]
}

/**
 * The lists of a state, whose rows can be rendered one by one: most rows of a state are those of the state before, and many rows take
 * longer than one turn of the event loop.
 */
export interface RowLists<Event> {
  of(event: Event): readonly RowList[]
  /** Returns the event with other rows: one list for each of `of`, in the same order. */
  replace(event: Event, lists: readonly RowList['rows'][]): Event
}
