import { useEffect, useRef, useState } from 'react'
import { type Condition, isComplete, OPERATORS, type Operator, operatorsOf } from './view.js'
import { bareType, type Column, shownColumns, type WatchedTable } from './watched-table.js'

export interface FilterBarProps {
  readonly table: WatchedTable
  readonly conditions: readonly Condition[]
  readonly onChange: (conditions: readonly Condition[]) => void
}

/** After so long without another key, what was typed counts. */
const PAUSE_MS = 400

/** Conditions that all have to hold. The server evaluates them. */
export function FilterBar({ table, conditions, onChange }: FilterBarProps) {
  const columns = shownColumns(table)
  const replace = (at: number, next: Condition) =>
    onChange(conditions.map((each, index) => (index === at ? next : each)))
  const add = () => {
    const column = columns.find(each => !each.isKey) ?? columns[0]
    if (column) onChange([...conditions, emptyCondition(column)])
  }
  return (
    <div className="filter">
      {conditions.map((condition, index) => (
        <ConditionRow
          key={index}
          columns={columns}
          condition={condition}
          onChange={next => replace(index, next)}
          onRemove={() => onChange(conditions.filter((_, at) => at !== index))}
        />
      ))}
      <button type="button" className="add" onClick={add}>
        {conditions.length === 0 ? 'Filter' : 'Add a condition'}
      </button>
    </div>
  )
}

interface ConditionRowProps {
  readonly columns: readonly Column[]
  readonly condition: Condition
  readonly onChange: (condition: Condition) => void
  readonly onRemove: () => void
}

function ConditionRow({ columns, condition, onChange, onRemove }: ConditionRowProps) {
  const column = columns.find(({ field }) => field === condition.field)
  if (!column) return null
  const chooseColumn = (field: string) => {
    const next = columns.find(each => each.field === field)
    if (!next) return
    const keeps = operatorsOf(next).includes(condition.operator)
    onChange({ ...(keeps ? condition : emptyCondition(next)), field })
  }
  return (
    <fieldset className="condition" aria-label={`Condition on ${column.name}`}>
      <select
        aria-label="Column"
        value={condition.field}
        onChange={event => chooseColumn(event.target.value)}
      >
        {columns.map(({ field, name }) => (
          <option key={field} value={field}>
            {name}
          </option>
        ))}
      </select>
      <select
        aria-label="Comparison"
        value={condition.operator}
        onChange={event => {
          const operator = event.target.value as Operator
          const isSwitch = (operator === 'isNull') !== (condition.operator === 'isNull')
          onChange({
            ...condition,
            operator,
            value: isSwitch ? (operator === 'isNull' ? 'true' : '') : condition.value,
          })
        }}
      >
        {operatorsOf(column).map(operator => (
          <option key={operator} value={operator}>
            {OPERATORS[operator]}
          </option>
        ))}
      </select>
      <Value column={column} condition={condition} onChange={value => onChange({ ...condition, value })} />
      <button type="button" aria-label={`Remove the condition on ${column.name}`} onClick={onRemove}>
        ×
      </button>
    </fieldset>
  )
}

interface ValueProps {
  readonly column: Column
  readonly condition: Condition
  readonly onChange: (value: string) => void
}

function Value({ column, condition, onChange }: ValueProps) {
  const { operator, value } = condition
  const isList = operator === 'in' || operator === 'notIn'
  if (operator === 'isNull' || (bareType(column) === 'Boolean' && !isList))
    return (
      <select
        aria-label="Value"
        value={value === 'false' ? 'false' : 'true'}
        onChange={event => onChange(event.target.value)}
      >
        <option value="true">true</option>
        <option value="false">false</option>
      </select>
    )
  return (
    <TypedValue
      column={column}
      condition={condition}
      placeholder={isList ? 'a, b, c' : bareType(column)}
      onChange={onChange}
    />
  )
}

function TypedValue({ condition, placeholder, onChange }: ValueProps & { readonly placeholder: string }) {
  const [text, setText] = useState(condition.value)
  useEffect(() => setText(condition.value), [condition.value])
  const change = useRef(onChange)
  useEffect(() => {
    change.current = onChange
  })
  // Drawing the rows again does not count as a key: the pause would never end while rows change.
  useEffect(() => {
    if (text === condition.value) return
    const timer = setTimeout(() => change.current(text), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [text, condition.value])
  return (
    <input
      aria-label="Value"
      value={text}
      placeholder={placeholder}
      spellCheck={false}
      autoCapitalize="none"
      data-incomplete={!isComplete({ ...condition, value: text }) || undefined}
      onChange={event => setText(event.target.value)}
      onBlur={() => text !== condition.value && onChange(text)}
      onKeyDown={event => event.key === 'Enter' && onChange(text)}
    />
  )
}

function emptyCondition(column: Column): Condition {
  const [operator = 'isNull'] = operatorsOf(column)
  const isChoice = operator === 'isNull' || bareType(column) === 'Boolean'
  // `eq ""` would match empty texts only; `gte` waits for a value.
  const first = operator === 'eq' && !isChoice ? (bareType(column) === 'String' ? 'ilike' : 'gte') : operator
  return { field: column.field, operator: first, value: isChoice ? 'true' : '' }
}
