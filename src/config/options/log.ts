import { boolean, choice } from '../value-type.js'
import { option } from './option.js'

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
  debug: option({
    group: 'Log',
    type: boolean,
    default: false,
    help: 'The same as log level debug; unexpected errors show their origin',
    short: 'd',
    eventserv: 'Debug',
  }),
} as const
