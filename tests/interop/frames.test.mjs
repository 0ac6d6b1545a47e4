import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import * as Y from 'yjs'
import { Awareness } from 'y-protocols/awareness'
import { Client, converge, join } from './support/client.mjs'
import * as frames from './support/frames.mjs'
import { startServer } from './support/server.mjs'
import { RawSocket, recordingSocket } from './support/sockets.mjs'
import { until } from './support/wait.mjs'

const server = await startServer()
after(() => server.stop())

const rawSocket = (t, name) => new RawSocket(t, `${server.url}/${name}`).opened()

function docWith(t, string) {
  const doc = new Y.Doc()
  doc.getText('text').insert(0, string)
  t.after(() => doc.destroy())
  return doc
}

const isStep2 = frame => frame.type === frames.SYNC && frame.sub === frames.STEP2

/** Asserts that the socket still works: what it asks now is answered now. */
async function assertAlive(raw) {
  const before = raw.received.filter(isStep2).length
  raw.send(frames.step1(new Y.Doc()))
  await until(() => raw.closed || raw.received.filter(isStep2).length > before, 'an answer')
  assert.equal(raw.closed, null)
}

test('the opening: a question, and the answer to ours', async t => {
  const raw = await rawSocket(t, 'opening')
  raw.send(frames.step1(new Y.Doc()))
  await raw.frame(isStep2, 'an answer')
  assert.deepEqual(raw.received.map(({ type, sub }) => [type, sub]), [[frames.SYNC, frames.STEP1], [frames.SYNC, frames.STEP2]])
  assert.deepEqual([...raw.received[0].body], [0])
  assert.deepEqual([...raw.received[1].body], [0, 0])
})

test('an update goes to all, its author included', async t => {
  const { Socket, connections } = recordingSocket()
  const author = await new Client(t, server.url, 'echo', { WebSocketPolyfill: Socket }).synced()
  const raw = await rawSocket(t, 'echo')
  author.append('x')
  const isUpdate = frame => frame.type === frames.SYNC && frame.sub === frames.UPDATE
  await raw.frame(isUpdate, 'the update')
  await until(() => connections[0].received.some(isUpdate), 'the echo')
})

const IGNORED = {
  'a question for awareness': Uint8Array.of(frames.QUERY_AWARENESS),
  'an unknown type': Uint8Array.of(77, 1, 2, 3),
  'an unknown type of two bytes': Uint8Array.of(0xff, 0x7f, 0, 0),
  'a sync frame of an unknown sub-type': Uint8Array.of(frames.SYNC, 9, 0),
  'an acknowledgement, which is not for the server': Uint8Array.of(frames.ACKNOWLEDGED, 9, 9),
  'awareness of nobody': Uint8Array.of(frames.AWARENESS, 1, 0),
  'awareness that is no JSON': Uint8Array.of(frames.AWARENESS, 5, 1, 1, 1, 1, '{'.charCodeAt(0))
}

for (const [what, frame] of Object.entries(IGNORED)) {
  test(`${what} disturbs nothing`, async t => {
    const name = `ignored/${what}`
    const { Socket, connections } = recordingSocket()
    const bystander = await new Client(t, server.url, name, { awareness: null, WebSocketPolyfill: Socket }).synced()
    const before = connections[0].received.length
    const raw = await rawSocket(t, name)
    for (let i = 0; i < 3; i++) raw.send(frame)
    await assertAlive(raw)
    raw.send(frames.updateWriting('afterwards'))
    await until(() => bystander.text.toString() === 'afterwards', 'an edit made afterwards')
    const types = connections[0].received.slice(before).map(({ type }) => type)
    assert.deepEqual(types, [frames.SYNC])
  })
}

test('several frames in one message are all read', async t => {
  const bystander = await new Client(t, server.url, 'several').synced()
  const raw = await rawSocket(t, 'several')
  const doc = docWith(t, 'first')
  const presence = new Awareness(doc)
  presence.setLocalState({ user: 'several' })
  const parts = [frames.step1(doc), frames.update(Y.encodeStateAsUpdate(doc)), frames.awareness(presence, [doc.clientID])]
  raw.send(Buffer.concat(parts))
  await raw.frame(isStep2, 'an answer')
  await until(() => bystander.text.toString() === 'first', 'the update')
  await until(() => bystander.awareness.getStates().has(doc.clientID), 'the presence')
})

// A frame that can't be read may come from a broken line, so its client may try again; an update that can't be is
// refused for good, or the client would send it again for ever.
const MALFORMED = {
  'a sync frame that ends in its middle': [1007, Uint8Array.of(frames.SYNC, frames.UPDATE, 200, 1, 1)],
  'a number without an end': [1007, new Uint8Array(32).fill(255)],
  'awareness that ends in its middle': [1007, Uint8Array.of(frames.AWARENESS, 2, 1, 1)],
  'an update of random bytes': [4400, Uint8Array.of(frames.SYNC, frames.UPDATE, 4, 255, 255, 255, 255)]
}

for (const [what, [code, frame]] of Object.entries(MALFORMED)) {
  test(`${what} closes its own session only`, async t => {
    const name = `malformed/${what}`
    const [a, b] = await join(t, server.url, name, 2)
    const closes = []
    for (const { provider } of [a, b]) provider.on('connection-close', event => closes.push(event))
    const raw = await rawSocket(t, name)
    raw.send(frame)
    assert.equal((await raw.close()).code, code)
    a.append('undisturbed')
    await converge([a, b])
    assert.deepEqual(closes, [])
  })
}

test('a text frame is not part of the protocol', async t => {
  const raw = await rawSocket(t, 'text-frame')
  raw.ws.send('hello')
  assert.equal((await raw.close()).code, 1003)
})

test('a message over 16 MiB is too big, one below is not', async t => {
  const below = await rawSocket(t, 'too-big')
  below.send(new Uint8Array(16 * 1024 * 1024).fill(77))
  await assertAlive(below)
  const above = await rawSocket(t, 'too-big')
  above.ws.on('error', () => {})
  above.send(new Uint8Array(16 * 1024 * 1024 + 1).fill(77))
  assert.equal((await above.close()).code, 1009)
})

test('resyncInterval: each question is answered, and edits go on', async t => {
  const { Socket, connections } = recordingSocket()
  const options = { resyncInterval: 20, WebSocketPolyfill: Socket }
  const client = await new Client(t, server.url, 'resync', options).synced()
  const other = await new Client(t, server.url, 'resync').synced()
  const [connection] = connections
  const questions = () => connection.sent.filter(frame => frame.sub === frames.STEP1 && frame.type === frames.SYNC).length
  const answers = () => connection.received.filter(isStep2).length
  for (let round = 1; round <= 5; round++) {
    client.append('c')
    other.append('o')
    const soFar = questions()
    await until(() => questions() > soFar && answers() > soFar, 'one more question and its answer')
  }
  await converge([client, other])
  assert.equal(client.text.length, 10)
  assert.equal(connections.length, 1)
})
