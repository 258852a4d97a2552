import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'
import { waitUntil } from './wait.js'

/** The socket on which systemd waits for the messages of a service. */
export interface NotifySocket {
  /** For NOTIFY_SOCKET. */
  readonly path: string
  /** The messages so far, each as its fields: `['READY=1', 'STATUS=ready']`. */
  readonly messages: readonly (readonly string[])[]
  close(): Promise<void>
}

/** Node has no datagram sockets of AF_UNIX; Perl is part of every Debian. Each message becomes a line, its fields parted by tabs. */
const RECEIVER = `
use Socket;
$| = 1;
socket(my $s, PF_UNIX, SOCK_DGRAM, 0) or die;
bind($s, pack_sockaddr_un($ARGV[0])) or die;
print "listening\\n";
while (defined recv($s, my $text, 65536, 0)) { $text =~ s/\\n/\\t/g; print "$text\\n" }
`

export async function openNotifySocket(): Promise<NotifySocket> {
  const folder = await mkdtemp(join(tmpdir(), 'listenql-notify-'))
  const path = join(folder, 'notify')
  const receiver: ChildProcess = spawn('perl', ['-e', RECEIVER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(receiver, 'exit')
  let out = ''
  receiver.stdout?.on('data', chunk => (out += chunk))
  await waitUntil(() => out.includes('listening\n'), 'the notify socket')
  return {
    path,
    get messages() {
      return out
        .split('\n')
        .slice(1, -1)
        .map(line => line.split('\t').filter(field => field !== ''))
        .filter(([first]) => first !== 'BARRIER=1') // systemd-notify waits until its message has been read
    },
    async close() {
      receiver.kill()
      await ended
      await rm(folder, { recursive: true })
    },
  }
}

/** A `describe` of tests with a program of systemd. If LISTENQL_SYSTEMD names its folder, they fail instead of being skipped. */
export function describeWithSystemd(program: string, name: string, body: () => void): void {
  const folder = process.env.LISTENQL_SYSTEMD ?? '/usr/bin'
  const isThere = existsSync(join(folder, program))
  if (!isThere && process.env.LISTENQL_SYSTEMD !== undefined)
    throw new Error(`LISTENQL_SYSTEMD names ${folder}, which has no ${program}`)
  if (!isThere) console.warn(`Skipped: ${name}. There is no ${program} here: apt-get install systemd.`)
  describe.skipIf(!isThere)(name, body)
}
