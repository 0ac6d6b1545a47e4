import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Client, converge } from './support/client.mjs'
import { proxyTo } from './support/proxy.mjs'
import { startServer } from './support/server.mjs'
import { until } from './support/wait.mjs'

const server = await startServer()
after(() => server.stop())

// Well below what y-protocols does by itself: a renewal comes within 15 s, a silent peer goes after 30 s.
const AT_ONCE_MS = 2_000
const LOSS_MS = 5_000

const caret = (name, index = 0) => ({ user: { name, color: '#30bced' }, cursor: { anchor: index, head: index } })

const person = (t, url, document, name) => new Client(t, url, document, { awareness: caret(name) }).synced()

const seen = (client, other, ms) => until(() => client.sees(other), 'the other to be seen', ms)
const gone = (client, other, ms) => until(() => !client.sees(other), 'the other to be gone', ms)

test('a join is seen, by those who are here and by who joins', async t => {
  const a = await person(t, server.url, 'join', 'Ada')
  const b = await person(t, server.url, 'join', 'Bob')
  await seen(a, b)
  await seen(b, a)
  assert.deepEqual(a.sees(b), caret('Bob'))
  assert.deepEqual(b.sees(a), caret('Ada'))
})

test('a moving caret is followed', async t => {
  const a = await person(t, server.url, 'caret', 'Ada')
  const b = await person(t, server.url, 'caret', 'Bob')
  for (let index = 1; index <= 50; index++) a.awareness.setLocalState(caret('Ada', index))
  await until(() => b.sees(a)?.cursor.anchor === 50, 'the last place')
  b.awareness.setLocalStateField('typing', true)
  await until(() => a.sees(b)?.typing, 'a field of its own')
})

test('a state set to null is gone, and may come back', async t => {
  const a = await person(t, server.url, 'null', 'Ada')
  const b = await person(t, server.url, 'null', 'Bob')
  await seen(b, a)
  a.awareness.setLocalState(null)
  await gone(b, a, AT_ONCE_MS)
  a.awareness.setLocalState(caret('Ada again'))
  await seen(b, a, AT_ONCE_MS)
  assert.deepEqual(b.sees(a), caret('Ada again'))
})

test('who leaves is gone at once, and only they', async t => {
  const a = await person(t, server.url, 'leave', 'Ada')
  const b = await person(t, server.url, 'leave', 'Bob')
  const c = await person(t, server.url, 'leave', 'Cy')
  await Promise.all([seen(b, a), seen(b, c), seen(c, a), seen(c, b)])
  a.close()
  await Promise.all([gone(b, a, AT_ONCE_MS), gone(c, a, AT_ONCE_MS)])
  assert.deepEqual([b.sees(c), c.sees(b)], [caret('Cy'), caret('Bob')])
})

test('who is lost without a goodbye is gone as soon as the connection dies', async t => {
  const proxy = await proxyTo(t, server)
  const a = await person(t, proxy.url, 'lost', 'Ada')
  const b = await person(t, server.url, 'lost', 'Bob')
  await seen(b, a)
  proxy.cut()
  await gone(b, a, LOSS_MS)
})

test('a reset of a socket is such a loss too', async t => {
  const a = await person(t, server.url, 'terminated', 'Ada')
  const b = await person(t, server.url, 'terminated', 'Bob')
  await seen(b, a)
  a.provider.shouldConnect = false
  a.provider.ws.terminate()
  await gone(b, a, LOSS_MS)
})

test('nobody is left over for who joins after a loss', async t => {
  const proxy = await proxyTo(t, server)
  const a = await person(t, proxy.url, 'left-over', 'Ada')
  const b = await person(t, server.url, 'left-over', 'Bob')
  await seen(b, a)
  proxy.cut()
  await gone(b, a, LOSS_MS)
  const c = await person(t, server.url, 'left-over', 'Cy')
  await seen(c, b)
  await seen(b, c)
  assert.equal(c.sees(a), undefined)
})

test('a caret is back at once after a reconnect', async t => {
  const proxy = await proxyTo(t, server)
  const a = await person(t, proxy.url, 'back', 'Ada')
  const b = await person(t, server.url, 'back', 'Bob')
  await seen(b, a)
  for (let round = 0; round < 3; round++) {
    proxy.cut()
    await gone(b, a, LOSS_MS)
    await until(() => !a.provider.wsconnected, 'the loss to be noticed')
    proxy.heal()
    await seen(b, a, AT_ONCE_MS)
    assert.deepEqual(b.sees(a), caret('Ada'))
    await seen(a, b, AT_ONCE_MS)
  }
})

test('a caret that moved while offline is back at its new place', async t => {
  const proxy = await proxyTo(t, server)
  const a = await person(t, proxy.url, 'moved', 'Ada')
  const b = await person(t, server.url, 'moved', 'Bob')
  await seen(b, a)
  proxy.cut()
  await gone(b, a, LOSS_MS)
  await until(() => !a.provider.wsconnected, 'the loss to be noticed')
  a.awareness.setLocalState(caret('Ada', 7))
  a.append('moved on')
  proxy.heal()
  await until(() => b.sees(a)?.cursor.anchor === 7, 'the new place', AT_ONCE_MS)
  await converge([a, b])
})

test('a presence is never part of the document', async t => {
  const a = await person(t, server.url, 'presence', 'Ada')
  a.append('text')
  const b = await person(t, server.url, 'presence', 'Bob')
  await converge([a, b])
  assert.deepEqual([...b.doc.share.keys()], ['text'])
})
