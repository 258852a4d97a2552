/**
 * Sends a signal to a process or, with a negative pid, to a group. A process that has ended meanwhile is not an error: libuv
 * reaps all ended children before it calls the first exit callback, so `exitCode` may still be null by then.
 *
 * @returns whether the process existed and received the signal
 * @throws other errors of kill(2), such as EPERM
 */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}
