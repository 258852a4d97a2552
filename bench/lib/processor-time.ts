import { readFile } from 'node:fs/promises'

/** The processor time of a process so far, in seconds. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
export async function processorTime(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100 // USER_HZ is 100 on every platform of Node
}

/** The same in nanoseconds. https://docs.kernel.org/scheduler/sched-stats.html */
export async function processorNanoseconds(pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/schedstat`, 'latin1')).split(' ')[0])
}
