import { PAGE_SIZES, type PageSize, type View } from './view.js'

export interface PagerProps {
  readonly view: View
  /** The number of rows on this page. */
  readonly count: number
  readonly hasMore: boolean
  readonly onChange: (change: Partial<View>) => void
}

/** Which rows are shown, with the ways to others. */
export function Pager({ view, count, hasMore, onChange }: PagerProps) {
  const { size, page } = view
  const chooseSize = (text: string) => {
    const next = PAGE_SIZES.find(each => String(each) === text) as PageSize
    onChange({ size: next, page: 0 })
  }
  return (
    <div className="pager">
      <label>
        Rows{' '}
        <select
          aria-label="Rows at a time"
          value={String(size)}
          onChange={event => chooseSize(event.target.value)}
        >
          {PAGE_SIZES.map(each => (
            <option key={each} value={String(each)}>
              {each}
            </option>
          ))}
        </select>
      </label>
      {size !== 'all' && (page > 0 || hasMore) && (
        <nav className="pages" aria-label="Pages">
          <button type="button" disabled={page === 0} onClick={() => onChange({ page: page - 1 })}>
            Previous
          </button>
          <span className="soft">
            {count > 0 ? `${page * size + 1}–${page * size + count}` : `after ${page * size}`}
          </span>
          <button type="button" disabled={!hasMore} onClick={() => onChange({ page: page + 1 })}>
            Next
          </button>
        </nav>
      )}
    </div>
  )
}
