import { ListenqlError } from './errors.js'

/** A compiled glob. */
export interface Glob {
  /**
   * Whether the glob matches the whole of `name`. The number of steps is at most proportional to name times glob.
   * @param onStep called at each step
   */
  test(name: string, onStep?: () => void): boolean
}

/** A state of the automaton: it consumes one code point, or forks to other states without consuming any. */
type State =
  | { readonly accepts: (codePoint: number) => boolean; readonly next: number }
  | { readonly forks: number[] }

/**
 * A glob over whole names, not over paths: `*` any number of characters, `?` exactly one, `[abc]`, `[a-z]` and `[!abc]` one of
 * (or none of) these, `{one,two}` alternatives, `\` escapes the next character. No character of the name is special: dots, slashes
 * and newlines match like letters. Case matters.
 *
 * All paths through the glob are followed at the same time (Thompson's construction, https://swtch.com/~rsc/regexp/regexp1.html): a
 * regular expression tries them one after another, which takes forever for `*a*a*a*` and a name that a client chooses.
 * @throws ListenqlError BAD_CONFIGURATION if a bracket or a brace is not closed
 */
export function compileGlob(glob: string): Glob {
  const states: State[] = []
  const groups: { readonly forks: number[]; readonly ends: number[][] }[] = []
  const take = (accepts: (codePoint: number) => boolean) => states.push({ accepts, next: states.length + 1 })
  const fork = (...forks: number[]) => {
    states.push({ forks })
    return forks
  }
  const characters = [...glob]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string
    const group = groups.at(-1)
    if (character === '\\' && i + 1 < characters.length) take(is(characters[++i] as string))
    else if (character === '*') {
      const at = states.length
      fork(at + 1, at + 2)
      states.push({ accepts: any, next: at })
    } else if (character === '?') take(any)
    else if (character === '[') {
      const end = characters.indexOf(']', i + 2)
      if (end < 0) throw malformed(glob, '[')
      take(characterClass(characters.slice(i + 1, end), glob))
      i = end
    } else if (character === '{') groups.push({ forks: fork(states.length + 1), ends: [] })
    else if (character === ',' && group) {
      group.ends.push(fork())
      group.forks.push(states.length)
    } else if (character === '}' && group) {
      for (const end of group.ends) end.push(states.length)
      groups.pop()
    } else take(is(character))
  }
  if (groups.length > 0) throw malformed(glob, '{')
  return { test: createRun(states) }
}

function createRun(states: readonly State[]): Glob['test'] {
  const end = states.length
  /** The step in which a state was last reached: each is followed only once in a step. */
  const reachedIn = new Float64Array(end + 1)
  let step = 0
  let current: number[] = []
  let former: number[] = []
  return (name, onStep) => {
    step++
    current.length = 0
    reach(0)
    for (const character of name) {
      if (current.length === 0) return false
      const codePoint = character.codePointAt(0) as number
      const reached = current
      current = former
      former = reached
      step++
      current.length = 0
      for (const at of reached) {
        onStep?.()
        const state = states[at]
        if (state && 'accepts' in state && state.accepts(codePoint)) reach(state.next)
      }
    }
    return reachedIn[end] === step

    /** Adds a state and the states that it forks to: the list grows during the loop. */
    function reach(first: number): void {
      const from = current.length
      add(first)
      for (let i = from; i < current.length; i++) {
        onStep?.()
        const state = states[current[i] as number]
        if (state && 'forks' in state) for (const next of state.forks) add(next)
      }
    }
    function add(at: number): void {
      if (reachedIn[at] === step) return
      reachedIn[at] = step
      current.push(at)
    }
  }
}

function any(): boolean {
  return true
}

function is(character: string): (codePoint: number) => boolean {
  const wanted = character.codePointAt(0)
  return codePoint => codePoint === wanted
}

function characterClass(characters: readonly string[], glob: string): (codePoint: number) => boolean {
  const negated = characters[0] === '!' || characters[0] === '^'
  const members = (negated ? characters.slice(1) : characters).map(each => each.codePointAt(0) as number)
  const ranges: (readonly [from: number, to: number])[] = []
  for (let i = 0; i < members.length; i++) {
    const from = members[i] as number
    // A hyphen between two characters keeps its meaning of a range.
    const isRange = members[i + 1] === HYPHEN && i + 2 < members.length
    const to = isRange ? (members[i + 2] as number) : from
    if (to < from) throw malformed(glob, '[')
    ranges.push([from, to])
    if (isRange) i += 2
  }
  return codePoint => ranges.some(([from, to]) => codePoint >= from && codePoint <= to) !== negated
}

const HYPHEN = 0x2d

function malformed(glob: string, bracket: string): ListenqlError {
  return new ListenqlError(
    'BAD_CONFIGURATION',
    `the pattern '${glob}' has a '${bracket}' that is not closed or holds an impossible range`,
    {
      hint: `write \\${bracket} for the character itself`,
    },
  )
}
