import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import * as Y from 'yjs'
import { Acknowledged } from './support/acks.mjs'
import { Client, converge } from './support/client.mjs'
import * as frames from './support/frames.mjs'
import { proxyTo } from './support/proxy.mjs'
import { startServer } from './support/server.mjs'
import { RawSocket, recordingSocket } from './support/sockets.mjs'
import { until } from './support/wait.mjs'

const server = await startServer()
after(() => server.stop())

const asking = (t, url, name, acks, options) => new Client(t, url, name, { ...acks.options, ...options }).synced()

test('the answer to the server’s question is the first to be acknowledged', async t => {
  const acks = new Acknowledged()
  await asking(t, server.url, 'first', acks)
  await acks.all()
  assert.deepEqual([acks.sent, acks.durable, acks.refused], [1, 1, 0])
})

test('each edit is acknowledged, one by one', async t => {
  const acks = new Acknowledged()
  const client = await asking(t, server.url, 'one-by-one', acks)
  await acks.all()
  for (let count = 2; count <= 20; count++) {
    client.append('x')
    assert.equal(acks.sent, count)
    await acks.all()
    assert.equal(acks.durable, count)
  }
})

test('a burst of 2000 edits is acknowledged to the very last', async t => {
  const acks = new Acknowledged()
  const client = await asking(t, server.url, 'burst', acks)
  for (let i = 0; i < 2000; i++) {
    client.append('x')
    if (i % 100 === 99) await turn()
  }
  await acks.all()
  assert.deepEqual([acks.sent, acks.durable, acks.refused], [2001, 2001, 0])
})

test('two writers are each told only of their own', async t => {
  const [one, two] = [new Acknowledged(), new Acknowledged()]
  const a = await asking(t, server.url, 'own', one)
  const b = await asking(t, server.url, 'own', two)
  for (let i = 0; i < 30; i++) a.append('a')
  for (let i = 0; i < 7; i++) b.append('b')
  await converge([a, b])
  await Promise.all([one.all(), two.all()])
  assert.deepEqual([one.durable, two.durable], [31, 8])
})

test('after a reconnect the counts start anew', async t => {
  const proxy = await proxyTo(t, server)
  const acks = new Acknowledged()
  const client = await asking(t, proxy.url, 'anew', acks)
  for (let i = 0; i < 10; i++) client.append('x')
  await acks.all()
  assert.equal(acks.durable, 11)
  proxy.cut()
  await until(() => !client.provider.wsconnected, 'the loss to be noticed')
  client.append('offline')
  proxy.heal()
  await client.synced()
  await acks.all()
  assert.equal(acks.durable, 1, 'all that was written offline goes in one answer')
  client.append('online')
  await acks.all()
  assert.deepEqual([acks.sent, acks.durable, acks.refused], [2, 2, 0])
})

test('an update that brings nothing new is acknowledged as well', async t => {
  const update = frames.updateWriting('once')
  const raw = await new RawSocket(t, `${server.url}/again?acks=1`).opened()
  for (let i = 0; i < 3; i++) raw.send(update)
  await raw.frame(frame => frame.type === frames.ACKNOWLEDGED && frame.durable === 3, 'three acknowledgements')
  assert.ok(raw.received.every(frame => frame.type !== frames.ACKNOWLEDGED || frame.refused === 0))
})

test('frames of other kinds are not counted', async t => {
  const acks = new Acknowledged()
  const client = await asking(t, server.url, 'uncounted', acks, { awareness: { user: 'Ada' } })
  for (let i = 0; i < 10; i++) client.awareness.setLocalStateField('caret', i)
  client.provider.ws.send(frames.step1(client.doc))
  client.append('counted')
  await acks.all()
  assert.ok(acks.connections[0].sent.length >= 14)
  assert.deepEqual([acks.sent, acks.durable], [2, 2])
})

test('a client that did not ask is never told', async t => {
  const acks = new Acknowledged()
  const asked = await asking(t, server.url, 'unasked', acks)
  const { Socket, connections } = recordingSocket()
  const unasked = await new Client(t, server.url, 'unasked', { WebSocketPolyfill: Socket }).synced()
  const raw = await new RawSocket(t, `${server.url}/unasked`).opened()
  for (let i = 0; i < 20; i++) unasked.append('x')
  raw.send(frames.updateWriting('raw'))
  await converge([asked, unasked])
  // What is settled later settles what came before: so by now there would have been something to tell them.
  asked.append('y')
  await acks.all()
  for (const socket of [raw, unasked.provider.ws]) socket.send(frames.step1(new Y.Doc()))
  await raw.frame(frame => frame.type === frames.SYNC && frame.sub === frames.STEP2, 'an answer')
  await until(() => connections[0].received.filter(frame => frame.sub === frames.STEP2).length === 2, 'another answer')
  for (const received of [raw.received, connections[0].received]) {
    assert.ok(received.length > 1)
    assert.ok(received.every(frame => frame.type !== frames.ACKNOWLEDGED))
  }
})

test('a client that asks without knowing what for goes on all the same', async t => {
  const quiet = t.mock.method(console, 'error', () => {})
  const client = await new Client(t, server.url, 'unknowing', { params: { acks: '1' } }).synced()
  client.append('text')
  await until(() => quiet.mock.callCount() > 0, 'the provider to be puzzled')
  const other = await new Client(t, server.url, 'unknowing').synced()
  await converge([client, other])
})
