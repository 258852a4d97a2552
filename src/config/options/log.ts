import { boolean, choice, text } from '../value-type.js'
import { option, optional } from './option.js'

/** Options of the group Log. */
export const logOptions = {
  logLevel: option({
    group: 'Log',
    type: choice(['trace', 'debug', 'info', 'warn', 'error', 'silent']),
    default: 'info',
    help: 'Minimum severity that is logged',
    usualVariable: 'LOG_LEVEL',
  }),
  logFormat: option({
    group: 'Log',
    type: choice(['auto', 'text', 'json']),
    default: 'auto',
    help: 'auto is text on a terminal and JSON elsewhere',
  }),
  auditLog: optional({
    group: 'Log',
    type: text('FILE|-'),
    otherwise: 'none',
    example: '/var/log/listenql/audit.jsonl',
    help: 'File to which a line of JSON is appended for each subscription, refusal, ended session and published message, - for standard output; SIGHUP opens it anew if the server has no terminal',
  }),
  debug: option({
    group: 'Log',
    type: boolean,
    default: false,
    help: 'The same as log level debug; unexpected errors show their origin',
    short: 'd',
    eventserv: 'Debug',
  }),
} as const
