/**
 * An @ at an impossible position comes from a password with a / or ? in it, which ends the login early. The parser would take the
 * rest for port, host or database, and a part of the password would appear in the log.
 */
export const STRAY_AT =
  'there is an @ after the host: a / ? or @ in the password is written as %2F, %3F or %40 in a URL'

/**
 * A connection URL of libpq as keywords and values (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS).
 * It is parsed with a pattern and not with `URL`, which refuses `postgres:///db`, an empty host and several hosts.
 * @throws Error that describes the problem without quoting any of the text
 */
export function parseUrl(text: string): Map<string, string> {
  const found =
    /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^/]*))?@)?(?<host>\[[^\]]*\]|[^:/?]*)(?::(?<port>[^/?]*))?(?:\/(?<dbname>[^?]*))?(?:\?(?<query>.*))?$/is.exec(
      text,
    )?.groups
  if (!found) throw new Error('it begins like a URL but is not one')
  const isPort = /^\d*$/.test(found.port ?? '')
  const rest = isPort ? found.dbname : `${found.port}${found.dbname}${found.query}`
  if (rest?.includes('@')) throw new Error(STRAY_AT)
  const values = new Map<string, string>()
  for (const keyword of ['user', 'password', 'host', 'port', 'dbname']) {
    const value = decode(found[keyword] ?? '', keyword)
    if (value !== '') values.set(keyword, keyword === 'host' ? value.replace(/^\[(.*)\]$/s, '$1') : value)
  }
  for (const pair of (found.query ?? '').split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    if (equals < 1)
      throw new Error(pair.includes('@') ? STRAY_AT : 'a parameter after ? is not of the form name=value')
    const keyword = decode(pair.slice(0, equals), 'a parameter')
    const value = decode(pair.slice(equals + 1), keyword)
    // JDBC's spelling, which libpq accepts, too.
    if (keyword === 'ssl' && value === 'true') values.set('sslmode', 'require')
    else values.set(keyword, value)
  }
  return values
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error(
      `${what} holds a % that is not followed by two hexadecimal digits (write a plain % as %25)`,
    )
  }
}

/**
 * Keywords and values of libpq: `host = localhost password='it\'s'`; a backslash escapes the next character.
 * @throws Error that describes the problem; it quotes keywords only
 */
export function parseKeywordString(text: string): Map<string, string> {
  const values = new Map<string, string>()
  const pair =
    /\s*([A-Za-z_]+)\s*=\s*(?:'((?:\\.|[^'\\])*)'(?=\s|$)|((?:\\.|[^\s'\\])(?:\\.|[^\s\\])*)?(?=\s|$))\s*/sy
  while (pair.lastIndex < text.length) {
    const start = pair.lastIndex
    const found = pair.exec(text)
    if (!found) {
      const keyword = /^\s*([A-Za-z_]+)\s*=/.exec(text.slice(start))?.[1]
      if (keyword === undefined)
        throw new Error("'keyword=value' was expected, and quotes around a value with blanks")
      throw new Error(`the value of ${keyword} is not closed with a quote`)
    }
    values.set(found[1] ?? '', (found[2] ?? found[3] ?? '').replace(/\\(.)/gs, '$1'))
  }
  return values
}
