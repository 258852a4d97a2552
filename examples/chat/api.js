// In place of your application's own server: it signs users in, and writes.
import { text } from 'node:stream/consumers'
import { jwtVerify, SignJWT } from 'jose'

/** Signs tokens, for listenql and for this file. Yours is random, has at least 32 bytes, and is in no repository. */
export const SECRET = 'only for this example, and long enough for HS256'
const key = new TextEncoder().encode(SECRET)

export const createApi = db => async (request, response) => {
  try {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost')
    if (pathname === '/token') response.end(await createToken(Object.fromEntries(searchParams)))
    else if (pathname === '/say') response.end(await queryAs(request, db, SAY, [await text(request)]))
    else if (pathname === '/here') response.end(await queryAs(request, db, 'select here()'))
    else response.writeHead(404).end()
  } catch (error) {
    console.error(error.message)
    response.writeHead(500).end('The message was not sent.')
  }
}

const SAY = 'insert into messages (body) values ($1)'

// Yours checks a password first, and whether the user may enter the room.
const createToken = ({ name, room }) =>
  new SignJWT({ role: 'member', name, room })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt()
    .setExpirationTime('10m')
    .sign(key)

/** Queries under the role and the claims of the token, so that row-level security applies. */
async function queryAs({ headers }, db, sql, values) {
  const { payload } = await jwtVerify(headers.authorization.replace('Bearer ', ''), key)
  const client = await db.connect()
  try {
    await client.query('begin')
    await client.query(`select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`, [
      payload.role,
      JSON.stringify(payload),
    ])
    await client.query(sql, values)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}
