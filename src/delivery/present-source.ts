import { abortable } from '../lib/abort.js'
import type { Replay } from '../sources/resume.js'
import { noHistory } from '../sources/source.js'
import type { Group } from './group.js'

/*
 * The source of a group as a subscriber sees it that joins or catches up: the group may have another source, or be a part of another
 * group, after every wait.
 */

/** Resolves once the present source of the group is open. @throws the error of opening it, or the error that ended the group */
export async function hasOpened(group: Group, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const { opened } = group.home
    const isPresent = () => opened === group.home.opened
    try {
      await abortable(opened, signal)
      if (isPresent()) break
    } catch (error) {
      if (signal?.aborted || isPresent()) throw group.home.end ?? error
    }
  }
  assertGoesOn(group)
}

/** @throws the error that ended the group */
export function assertGoesOn({ home: { end } }: Group): void {
  if (end) throw end
}

/** The past of the group's present source. @throws ListenqlError CURSOR_INVALID if the source keeps no events */
export function replayOf(group: Group): Replay<unknown> {
  const { replay } = group.home.source
  if (!replay) throw noHistory()
  return replay
}
