import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import * as Y from 'yjs'
import { Acknowledged } from './support/acks.mjs'
import { Client, converge } from './support/client.mjs'
import * as frames from './support/frames.mjs'
import { startServer } from './support/server.mjs'
import { RawSocket, recordingSocket, refusal, socketWithHeaders } from './support/sockets.mjs'
import { next, until } from './support/wait.mjs'

const WRITE = 'write-token-0123456789'
const READ = 'read-token-0123456789'
const UNKNOWN = 'nobody-knows-this-token'

const directory = mkdtempSync(path.join(tmpdir(), 'y-mesh-tokens-'))
const tokenFile = path.join(directory, 'tokens')
writeFileSync(tokenFile, `# who may do what\nwrite ${WRITE} ada\n\nread ${READ}\n`)
const server = await startServer({ args: ['--token-file', tokenFile] })
after(async () => {
  await server.stop()
  rmSync(directory, { recursive: true })
})

const WAYS = {
  'a query parameter': token => ({ params: { token } }),
  'a sub-protocol': token => ({ protocols: ['ymesh.v1', `auth.${token}`] }),
  'a header': token => ({ WebSocketPolyfill: socketWithHeaders({ authorization: `Bearer ${token}` }) })
}

const writer = (t, name, options) => new Client(t, server.url, name, { params: { token: WRITE }, ...options }).synced()
const reader = (t, name, options) => new Client(t, server.url, name, { params: { token: READ }, ...options }).synced()

for (const [way, options] of Object.entries(WAYS)) {
  test(`a token in ${way}`, async t => {
    const name = `ways/${way}`
    const first = await new Client(t, server.url, name, options(WRITE)).synced()
    const second = await writer(t, name)
    const looker = await new Client(t, server.url, name, options(READ)).synced()
    first.append('let in')
    await converge([first, second, looker])
    assert.equal(looker.text.toString(), 'let in')
  })
}

const REFUSED = {
  'no token': {},
  'an empty token': { params: { token: '' } },
  'an unknown token in a query parameter': WAYS['a query parameter'](UNKNOWN),
  'an unknown token in a sub-protocol': WAYS['a sub-protocol'](UNKNOWN),
  'an unknown token in a header': WAYS['a header'](UNKNOWN),
  'the beginning of a good token': { params: { token: WRITE.slice(0, -1) } },
  'a good token and more': { params: { token: `${WRITE}x` } },
  'a good token in upper case': { params: { token: WRITE.toUpperCase() } }
}

for (const [what, options] of Object.entries(REFUSED)) {
  test(`${what}: the provider is told 4401 and stops for ever`, async t => {
    const client = new Client(t, server.url, 'refused', { ...options, connect: false })
    const attempts = countAttempts(client.provider)
    const closed = next(client.provider, 'closed')
    client.provider.connect()
    assert.equal((await closed)[0].code, 4401)
    await reconnectTimerOf(t, client.provider)
    assert.equal(client.provider.shouldConnect, false)
    assert.equal(client.provider.ws, null)
    assert.equal(attempts(), 1)
    assert.ok(!client.provider.synced)
  })
}

function countAttempts(provider) {
  let count = 0
  provider.on('status', ({ status }) => { if (status === 'connecting') count++ })
  return () => count
}

// Node fires timers of equal length in the order they were set: when a provider with the same backoff that was
// closed later has tried again, the first one's time is over as well.
async function reconnectTimerOf(t, { maxBackoffTime, wsUnsuccessfulReconnects }) {
  const later = await writer(t, 'later', { maxBackoffTime })
  later.provider.wsUnsuccessfulReconnects = wsUnsuccessfulReconnects - 1
  later.provider.ws.terminate()
  await next(later.provider, 'connection-close')
  await later.synced()
}

test('a refused provider may be given a good token and told to connect', async t => {
  const client = new Client(t, server.url, 'second-try', { params: { token: UNKNOWN } })
  await next(client.provider, 'closed')
  client.provider.params = { token: WRITE }
  client.provider.connect()
  await client.synced()
})

test('the reason is told before the close, and nothing of the document', async t => {
  const ada = await writer(t, 'secret', { awareness: { user: 'ada' } })
  ada.append('not for everybody')
  const raw = new RawSocket(t, `${server.url}/secret?token=${UNKNOWN}`)
  assert.equal((await raw.close()).code, 4401)
  assert.deepEqual(raw.received.map(frame => [frame.type, frame.sub]), [[frames.AUTH, 0]])
  assert.ok(raw.received[0].reason.length > 0)
  assert.ok(!raw.received[0].reason.includes(UNKNOWN))
})

test('a reader receives, and what it writes reaches nobody', async t => {
  const ada = await writer(t, 'read-only')
  const bob = await writer(t, 'read-only')
  ada.append('one ')
  const acks = new Acknowledged({ token: READ })
  const looker = await reader(t, 'read-only', acks.options)
  await converge([ada, bob, looker])
  looker.append('[refused] ')
  looker.doc.getMap('map').set('refused', true)
  await until(() => acks.refused === 2, () => `two refusals, not ${acks.refused}`)
  ada.append('two ')
  await until(() => [bob, looker].every(client => client.text.toString().includes('two')), 'the writer to be read by all')
  const late = await writer(t, 'read-only')
  for (const client of [ada, bob, late]) {
    assert.equal(client.text.toString(), 'one two ')
    assert.equal(client.doc.getMap('map').size, 0)
  }
  assert.match(looker.text.toString(), /\[refused\]/)
  assert.ok(looker.provider.wsconnected)
  acks.assertExact()
})

test('what a reader wrote offline is refused too', async t => {
  const ada = await writer(t, 'read-offline')
  ada.append('kept')
  const acks = new Acknowledged({ token: READ })
  const looker = new Client(t, server.url, 'read-offline', { ...acks.options, connect: false })
  looker.append('[refused]')
  looker.provider.connect()
  await looker.synced()
  await until(() => acks.refused === 1, 'a refusal')
  const late = await writer(t, 'read-offline')
  assert.equal(late.text.toString(), 'kept')
  acks.assertExact()
})

test('a reader that has nothing new to say is not refused', async t => {
  const ada = await writer(t, 'read-quietly')
  ada.append('text')
  const acks = new Acknowledged({ token: READ })
  await reader(t, 'read-quietly', acks.options)
  await acks.all()
  assert.deepEqual([acks.sent, acks.durable, acks.refused], [1, 1, 0])
})

test('a reader is told why, once', async t => {
  const raw = await new RawSocket(t, `${server.url}/told-once?token=${READ}&acks=1`).opened()
  for (const string of ['a', 'b', 'c']) raw.send(frames.updateWriting(string))
  await raw.frame(frame => frame.type === frames.ACKNOWLEDGED && frame.refused === 3, 'three refusals')
  raw.send(frames.step1(new Y.Doc()))
  await raw.frame(frame => frame.sub === frames.STEP2 && frame.type === frames.SYNC, 'an answer')
  const told = raw.received.filter(frame => frame.type === frames.AUTH)
  assert.deepEqual(told.map(frame => frame.sub), [0])
  assert.equal(raw.closed, null)
})

test('a reader’s presence is shown', async t => {
  const ada = await writer(t, 'presence', { awareness: { user: 'ada' } })
  const looker = await reader(t, 'presence', { awareness: { user: 'looker' } })
  await until(() => ada.sees(looker) && looker.sees(ada), 'both to see each other')
})

test('one socket’s refusal does not disturb another’s document', async t => {
  const { Socket, connections } = recordingSocket()
  const ada = await writer(t, 'undisturbed', { WebSocketPolyfill: Socket })
  const closes = []
  for (let i = 0; i < 10; i++) closes.push(new RawSocket(t, `${server.url}/undisturbed?token=${UNKNOWN}`).close())
  assert.deepEqual((await Promise.all(closes)).map(close => close.code), Array(10).fill(4401))
  ada.append('still here')
  await converge([ada, await writer(t, 'undisturbed')])
  assert.equal(connections.length, 1)
})

test('the API wants a token as well', async t => {
  const status = async headers => (await fetch(`${server.http}/api/documents`, { headers })).status
  assert.equal(await status({}), 401)
  assert.equal(await status({ authorization: `Bearer ${UNKNOWN}` }), 401)
  assert.equal(await status({ authorization: `Bearer ${WRITE}` }), 200)
})

test('a page of another origin is not let in, one of this machine is', async t => {
  const url = `${server.url}/origin?token=${WRITE}`
  assert.equal(await refusal(t, url, { origin: 'https://example.org' }), 403)
  assert.equal(await refusal(t, url, { origin: 'null' }), 403)
  assert.equal(await refusal(t, url, { origin: 'http://localhost.example.org' }), 403)
  for (const origin of [server.http, 'http://localhost:5173', 'http://127.0.0.1:8080']) {
    await new RawSocket(t, url, [], { origin }).opened()
  }
})
